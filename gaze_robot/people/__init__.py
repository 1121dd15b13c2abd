"""Where people look: heads found and followed, a gaze target for each, drawn and measured.

`records` are the nouns, `heads` and `tracks` find heads and keep their ids, `gazelle`,
`gazelle_onnx` and `coarse` say where a head's owner looks, `watch` ties them together, `metrics`
are the published measures.
"""
