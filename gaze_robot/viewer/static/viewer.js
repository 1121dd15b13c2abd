// Pointing into a picture: a click looks there, a drag cuts out an exemplar, arrow keys and Enter
// do the same without a mouse. Places are shares of the picture, from its left top corner; `number`
// is that of the picture which was on the screen when the pointing began.
window.gazePicture = (id, drags) => {
  const part = getElement(id);
  const root = part.$el;
  const image = root.querySelector('img');
  const DRAG_PX = 8;                          // less is a click with an unsteady hand
  const STEP = 0.04;
  const EXEMPLAR = 0.06;                      // half a side of what the key "e" cuts out
  const clamp = (value) => Math.min(1, Math.max(0, value));
  const number = () => Number((image.src.match(/(\d+)\.jpg/) || [0, -1])[1]);
  const mark = (name) => {
    const element = document.createElement('div');
    element.className = name;
    element.style.display = 'none';
    root.appendChild(element);
    return element;
  };
  const box = mark('gaze-box');
  const cross = mark('gaze-cross');
  const place = (event) => {
    const around = image.getBoundingClientRect();
    return [clamp((event.clientX - around.left) / around.width),
            clamp((event.clientY - around.top) / around.height)];
  };
  const lay = (element, left, top, right, bottom) => Object.assign(element.style, {
    display: 'block', left: `${100 * left}%`, top: `${100 * top}%`,
    width: `${100 * (right - left)}%`, height: `${100 * (bottom - top)}%`});
  let start = null;
  let at = [0.5, 0.5];

  image.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    start = {place: place(event), number: number(), x: event.clientX, y: event.clientY};
    image.setPointerCapture(event.pointerId);
  });
  image.addEventListener('pointermove', (event) => {
    if (!start || !drags) return;
    const [[x0, y0], [x1, y1]] = [start.place, place(event)];
    lay(box, Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1));
  });
  image.addEventListener('pointercancel', () => {
    start = null;
    box.style.display = 'none';
  });
  image.addEventListener('pointerup', (event) => {
    box.style.display = 'none';
    if (!start) return;
    const [[x0, y0], [x1, y1]] = [start.place, place(event)];
    const far = Math.max(Math.abs(event.clientX - start.x), Math.abs(event.clientY - start.y));
    if (far < DRAG_PX) part.$emit('look', {x: x0, y: y0, number: start.number});
    else if (drags) part.$emit('exemplar', {
      left: Math.min(x0, x1), top: Math.min(y0, y1), right: Math.max(x0, x1),
      bottom: Math.max(y0, y1), number: start.number});
    start = null;
  });
  root.addEventListener('keydown', (event) => {
    const step = {ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP],
                  ArrowDown: [0, STEP]}[event.key];
    if (step) at = [clamp(at[0] + step[0]), clamp(at[1] + step[1])];
    else if (event.key === 'Enter') part.$emit('look', {x: at[0], y: at[1], number: number()});
    else if (event.key === 'e' && drags) part.$emit('exemplar', {
      left: clamp(at[0] - EXEMPLAR), top: clamp(at[1] - EXEMPLAR),
      right: clamp(at[0] + EXEMPLAR), bottom: clamp(at[1] + EXEMPLAR), number: number()});
    else return;
    lay(cross, at[0] - 0.012, at[1] - 0.016, at[0] + 0.012, at[1] + 0.016);
    event.preventDefault();
  });
  root.addEventListener('blur', () => { cross.style.display = 'none'; });
};
