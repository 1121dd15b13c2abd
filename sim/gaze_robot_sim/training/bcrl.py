"""BC-RL."""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import json, time
from pathlib import Path
import numpy as np, torch, cv2
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from gaze_robot.allocator import keep_large_blocks
from gaze_robot.policy.hand import HandConfig
from gaze_robot.policy.glances import token_places
from gaze_robot.policy.looking import LookingPolicy, LookingTrunk
from gaze_robot_sim.bcrl.batch import *
from gaze_robot_sim.bcrl.hand_learner import *
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.bcrl.watching import *
from gaze_robot_sim.bcrl.workspace import Workspace, WorkspaceConfig
from gaze_robot_sim.envs.vec import GazeVecEnv

class Trunk(BaseFeaturesExtractor):
    def __init__(self, space, tokens, patch):
        trunk = LookingTrunk(tokens, patch, space['vector'].shape[0])
        super().__init__(space, trunk.features)
        self.trunk = trunk; self.tokens = tokens
    def forward(self, o):
        return self.trunk(o['view'].unflatten(1, (self.tokens, -1)), o['vector'])

def eye_of(model, tokens, patch):
    t = model.policy.features_extractor
    eye = LookingPolicy(tokens, patch, t.trunk.situation.in_features)
    eye.trunk.load_state_dict(t.trunk.state_dict()); eye.actor.load_state_dict(model.policy.action_net.state_dict())
    return eye.eval()

class Remember(BaseCallback):
    def __init__(self, batch, replay, share, rng):
        super().__init__(); self.batch, self.replay, self.share, self.rng = batch, replay, share, rng
        self.stat=[]
    def _on_step(self):
        b=self.batch
        self.replay.add(b.sight(), np.nonzero(self.rng.random(b.eyes) < self.share)[0])
        i=self.locals['infos']
        self.stat.append([np.mean([x['hand_error'] for x in i]), np.mean([x['error_rad'] for x in i]), np.mean([x['error_rad']<np.radians(7.5) for x in i])])
        return True

def main(steps=600000, seed=0, eyes=64, n_steps=32, lr=3e-4, hlr=3e-3, updates=8, ent=0.003, std=-0.7, gamma=0.95, epochs=4, out='/tmp/run0', capacity=40000, share=0.25, layers=0, lookalikes=0.3, two=0.5, things=4, centring=0.02, hand=0.2, parallel=1, queries=4,ep=1.5,pause=15,noise=0.5,warm=70,wup=15,dynamics='off'):
    torch.set_num_threads(1); cv2.setNumThreads(1); keep_large_blocks(); torch.manual_seed(seed)
    wc = WorkspaceConfig(look_alikes=lookalikes, two=two, things=things)
    ws=Workspace(seed, wc); sc=Scale.of([ws.play(i) for i in range(200)],30)
    h=make_hand(HandConfig(5,18,5,layers=layers,queries=queries),sc,token_places(PATTERN))
    kw=dict(rewards={'hand':hand,'centring':centring},dynamics=dynamics); cfg=WatchConfig(episode_s=ep,pause_steps=pause,**kw); ecfg=WatchConfig(**kw)
    b=WatchBatch(eyes,ws,h,sc,cfg,seed=seed); env=GazeVecEnv(b,stagger=True)
    unseen=WatchBatch(64,Workspace(seed+1_000_003,wc),h,sc,ecfg,seed=1)
    replay=Replay(capacity); rng=np.random.default_rng(seed); learner=HandLearner(h,hlr,512,noise)
    m=PPO('MultiInputPolicy',env,n_steps=n_steps,batch_size=512,n_epochs=epochs,learning_rate=lambda l: lr*(0.1+0.9*l),gamma=gamma,gae_lambda=0.9,clip_range=0.2,ent_coef=ent,seed=seed,policy_kwargs=dict(features_extractor_class=Trunk,features_extractor_kwargs=dict(tokens=48,patch=8),net_arch=[],normalize_images=False,log_std_init=std))
    cb=Remember(b,replay,share,np.random.default_rng(seed+1))
    c0=time.process_time()
    for r in range(warm):
        b.start(range(eyes))
        for _ in range(8):
            b.scatter(); replay.add(b.sight(),np.arange(eyes))
        loss=learner.learn(replay,rng,wup,1.0)
        if r%10==9: print('warm',r,round(time.process_time()-c0),round(loss,3),round(b.hand_error.mean(),3), round(b.hand_error[b.error_rad()<.7].mean(),3),flush=True)
    total,cbk=m._setup_learn(steps,cb)
    Path(out).mkdir(exist_ok=True,parents=True)
    t0=time.time(); c0=time.process_time(); rows=[]; loss=0; k=0
    pool=ThreadPoolExecutor(1)
    while m.num_timesteps<steps:
        m.collect_rollouts(env,cbk,m.rollout_buffer,n_steps)
        m._update_current_progress_remaining(m.num_timesteps,steps)
        left=1-m.num_timesteps/steps
        if parallel:
            f=pool.submit(learner.learn,replay,rng,updates,left); m.train(); loss=f.result()
        else:
            loss=learner.learn(replay,rng,updates,left); m.train()
        k+=1
        if k%16==0:
            s=np.array(cb.stat).mean(0); cb.stat=[]
            row=dict(steps=m.num_timesteps,wall=time.time()-t0,cpu=time.process_time()-c0,loss=loss,he=s[0],ge=np.degrees(s[1]),fov=s[2],std=float(m.policy.log_std.exp().mean()))
            if k%48==0:
                unseen.reseed(1)
                unseen._episodes[:]=0
                row.update({'u_'+a:v for a,v in summary(scores(watch(unseen,learned(eye_of(m,48,8)),64),30,15)).items()})
            rows.append(row); print({a:round(float(v),3) for a,v in row.items()},flush=True)
            json.dump(rows,open(out+'/curve.json','w'))
            torch.save({'hand':h.state_dict(),'policy':m.policy.state_dict()},out+'/m.pt')
if __name__=='__main__':
    import sys
    kw=dict(a.split('=') for a in sys.argv[1:])
    main(**{k:(v if k in('out','dynamics') else float(v) if '.' in v or 'e' in v else int(v)) for k,v in kw.items()})
