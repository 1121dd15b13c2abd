"""The page a person watches: what the eye sees, where it looks, why, and how healthy it is.

`board` is what is known now, whoever tells it: a robot (`nodes/viewer_node`) or a recording
(`replay`). `drawing` makes pictures of it, `words` sentences, `page` and the panels the page,
`server` serves them. NiceGUI is imported by the last three only.
"""
