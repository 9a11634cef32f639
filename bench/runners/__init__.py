"""One file per framework; a runner converts a case to a call that the worker checks and times."""

# Framework -> (module to import, class in bench.runners.<framework>).
RUNNERS = {
    "chainrule": ("chainrule", "ChainruleRunner"),
    "numpy": ("numpy", "NumpyRunner"),
    "torch": ("torch", "TorchRunner"),
    "jax": ("jax", "JaxRunner"),
    "onnxruntime": ("onnxruntime", "OnnxruntimeRunner"),
    "sklearn": ("sklearn", "SklearnRunner"),
}
