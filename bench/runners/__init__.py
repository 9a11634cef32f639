"""One file per framework; a runner turns a case into a call that the worker can check and time."""

# Framework -> (module to import, class in bench.runners.<framework>).
RUNNERS = {
    "chainrule": ("chainrule", "ChainruleRunner"),
    "numpy": ("numpy", "NumpyRunner"),
    "torch": ("torch", "TorchRunner"),
    "jax": ("jax", "JaxRunner"),
    "onnxruntime": ("onnxruntime", "OnnxruntimeRunner"),
    "sklearn": ("sklearn", "SklearnRunner"),
}
