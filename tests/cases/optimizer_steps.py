"""Twelve steps of the optimizers by other libraries: torch.optim 2.13, lion-pytorch 0.2, schedulefree 1.4, in float64.

From START on the sum of A * p**2 + B * p.
"""

from typing import Any

import numpy as np

import chainrule as cr

START, A, B = np.array([0.5, -1.25, 2.0]), np.array([1.0, 0.1, 3.0]), np.array([0.3, -0.2, 0.1])
STEPS: list[tuple[type, dict[str, Any], list[float]]] = [
    (
        cr.optim.SGD,
        {"lr": 0.05, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.02, "maximize": True},
        [4.7960256905721375, -1.9453848820385597, 158.2223485140838],
    ),
    (
        cr.optim.Adam,
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
        [-0.36408044433458037, -0.012142143962142402, 0.6892842416325009],
    ),
    (cr.optim.NAdam, {"lr": 0.1}, [-0.14493173227767356, -0.3478106616032291, 1.1081107110846202]),
    (
        cr.optim.NAdam,
        {
            "lr": 0.2,
            "betas": (0.7, 0.9),
            "eps": 0.001,
            "weight_decay": 0.1,
            "momentum_decay": 0.2,
            "decoupled_weight_decay": True,
        },
        [-0.14902546399799743, 0.6004821406735706, 0.13699837272705118],
    ),
    (
        cr.optim.NAdam,
        {"lr": 0.2, "betas": (0.6, 0.8), "weight_decay": 0.1, "maximize": True},
        [3.3156948019285726, -3.812548977728791, 4.630524270245717],
    ),
    (cr.optim.RAdam, {"lr": 0.1}, [-0.04034201967550389, -1.0000045314719581, -0.9026449673833428]),
    (
        cr.optim.RAdam,
        {"lr": 0.2, "betas": (0.7, 0.9), "eps": 0.001, "weight_decay": 0.1},
        [-0.12485861921104044, -0.17668714555437404, 0.11786556437378683],
    ),
    (
        cr.optim.RAdam,
        {"lr": 0.2, "betas": (0.7, 0.8), "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
        [3.5463049252448076, -2.1999675453390677, 65.6511110055149],
    ),
    (cr.optim.Adadelta, {"lr": 1.0}, [0.4599866209055773, -1.20940378764298, 1.9594301928129858]),
    (
        cr.optim.Adadelta,
        {"lr": 0.7, "rho": 0.6, "eps": 0.01, "weight_decay": 0.1, "maximize": True},
        [3.1329236291667595, -3.0420058978221447, 4.197011056191783],
    ),
    (cr.optim.Adamax, {"lr": 0.1}, [-0.22165006752975566, -0.20603137440418212, 0.973576563543774]),
    (
        cr.optim.Adamax,
        {"lr": 0.2, "betas": (0.7, 0.9), "eps": 0.001, "weight_decay": 0.1, "maximize": True},
        [2.5658020350418607, -3.5040100339284352, 4.207862685506033],
    ),
    (
        cr.optim.RMSprop,
        {"lr": 0.03, "momentum": 0.5, "maximize": True},
        [4.80850792888657, -5.041610705808505, 5.835210950988665],
    ),
    (cr.optim.Adagrad, {"lr": 0.3, "maximize": True}, [2.619525143712609, -3.1296060144075084, 3.897114433814254]),
    (
        cr.optim.Lion,
        {"lr": 0.1, "betas": (0.7, 0.9), "weight_decay": 0.1},
        [-0.29693884698064255, 0.02817019319354573, 0.6366184605935509],
    ),
    (cr.optim.ScheduleFreeAdamW, {"lr": 0.1}, [-0.04292221573991275, -0.5849276099585807, 1.3399209580191038]),
    (
        cr.optim.ScheduleFreeAdamW,
        {
            "lr": 0.2,
            "betas": (0.7, 0.9),
            "eps": 0.001,
            "weight_decay": 0.1,
            "warmup_steps": 5,
            "r": 1,
            "weight_lr_power": 1,
        },
        [-0.17073785100190103, 0.122278934208304, 0.5752818911769549],
    ),
]
