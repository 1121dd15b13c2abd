"""Pictures of people who look at things and at one another, with the truth about each of them.

`cast` draws heads, things and rooms; `stories` decides who looks at what, in space; `pictures`
paints that; `stream` makes batches to learn from; `evaluate` measures gaze models on it.
"""
