"""Faults to seed into the sources: each names quick tests that must then fail.

`IN_CPP` need a build; `IN_PYTHON` do not. A fault whose place has changed must be seeded anew, not dropped.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """In `file`, `old`, which occurs `times` times, becomes `new`; `tests` have to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    times: int = 1


IN_CPP = [
    Mutant(
        "contraction", "CMakeLists.txt", "-ffp-contract=off)", "-ffp-contract=fast)", "test_softmax.py test_random.py"
    ),
    Mutant(
        "product rounded", "cpp/kernels/tile.h", "fma(ai, bv[j], acc[i][j])", "ai * bv[j] + acc[i][j]", "test_matmul.py"
    ),
    Mutant(
        "elementwise tail short",
        "cpp/kernels/loops.h",
        "store_n(out + i, f(in.part(i, n - i)...), n - i)",
        "store_n(out + i, f(in.part(i, n - i)...), n - i - 1)",
        "test_elementwise.py",
    ),
    Mutant(
        "elementwise tail overread",
        "cpp/kernels/loops.h",
        "Broadcast ? splatted : load_n(p + i, n)",
        "Broadcast ? splatted : load(p + i + 0 * n)",
        "test_guard_pages.py -k elementwise",
    ),
    Mutant(
        "sign of zero in maximum",
        "cpp/simd/vec.h",
        "select(eq(a, b), bits_and(a, b), larger)",
        "select(eq(a, b), a, larger)",
        "test_elementwise.py test_reductions.py -k max",
    ),
    Mutant(
        "relu_grad forgets NaN",
        "cpp/kernels/activations.h",
        "select(lt(zero, chainrule::abs(y)), g, y + zero)",
        "select(eq(y, zero), zero, g)",
        "test_special_values.py -k relu",
    ),
    Mutant(
        "chunk of sums",
        "cpp/kernels/lane_sum.h",
        "kSumChunk = 4096",
        "kSumChunk = 8192",
        "test_reductions.py",
    ),
    Mutant(
        "tree of sums",
        "cpp/kernels/lane_sum.h",
        "half[v] + half[v + n]",
        "half[2 * v] + half[2 * v + 1]",
        "test_reductions.py",
    ),
    Mutant(
        "last maximum", "cpp/kernels/reduce.cpp", "__builtin_ctz(hit)", "31 - __builtin_clz(hit)", "test_reductions.py"
    ),
    Mutant(
        "softmax multiplies",
        "cpp/kernels/softmax.cpp",
        "return e / s;",
        "return e * (splat(T(1)) / s);",
        "test_softmax.py",
    ),
    Mutant(
        "step rounded twice",
        "cpp/kernels/update.cpp",
        "fma(rate, d, p)",
        "rate * d + p",
        "test_update.py -k options",
        times=2,
    ),
    Mutant(
        "bias of the first tile",
        "cpp/kernels/write_back.h",
        "whole.bias + (out_.transposed ? i : j)",
        "whole.bias + (out_.transposed ? i : 0)",
        "test_chain.py",
    ),
    Mutant(
        "more rows than the epilogue's buffer has",
        "cpp/kernels/write_back.h",
        "i_end - i0_ + rows_ > most_",
        "i_end - i0_ > most_",
        "test_chain.py",
    ),
    Mutant(
        "body in the wrong row",
        "cpp/program/matmul.cpp",
        "e.row + row",
        "row",
        "test_chain.py",
    ),
    Mutant("nine rounds", "cpp/math/philox.h", "round < 10", "round < 9", "test_random.py"),
    Mutant(
        "caller's mode",
        "cpp/threads/fp_mode.h",
        "if ((saved_ & kControl) != kDefault) write(kDefault);",
        "",
        "test_fp_modes.py",
    ),
    Mutant(
        "shares leave a gap",
        "cpp/threads/threads.h",
        "units * (share.index + 1) / share.count",
        "units * (share.index + 1) / share.count - (share.index > 0)",
        "test_elementwise.py",
    ),
    Mutant(
        "no barrier",
        "cpp/program/schedule.cpp",
        "conflicts.with(i, begin_.back(), least_work)",
        "false",
        "test_threads.py test_program.py -k wait",
    ),
    Mutant(
        "threads after fork",
        "cpp/threads/threads.cpp",
        "g_forked.load(std::memory_order_relaxed) || ",
        "",
        "test_threads.py -k forked",
    ),
    Mutant(
        "index at the end",
        "cpp/program/checks.cpp",
        "index[i] >= high",
        "index[i] > high",
        "test_losses.py test_shapes.py test_ops.py -k 'index or label or range or take'",
        times=2,
    ),
    Mutant(
        "last draw of a permutation",
        "cpp/host/permutation.h",
        "(last - x + 1)",
        "(last - x)",
        "test_random.py -k permutation",
    ),
]

IN_PYTHON = [
    Mutant(
        "fsync removed",
        "python/chainrule/_util/files.py",
        "os.fsync(file.fileno())",
        "pass",
        "test_serialize.py -k order_of_writing",
    ),
    Mutant(
        "folder not synced",
        "python/chainrule/_util/files.py",
        '    if os.name == "posix":\n        _sync_folder(folder)',
        '    if os.name != "posix":\n        _sync_folder(folder)',
        "test_serialize.py -k order_of_writing",
    ),
    Mutant(
        "temporary file left",
        "python/chainrule/_util/files.py",
        "os.unlink(temporary)",
        "pass",
        "test_serialize.py -k every_step_of_writing",
    ),
    Mutant(
        "renamed before it is written",
        "python/chainrule/_util/files.py",
        "            file.flush()\n",
        "            file.flush()\n            os.replace(temporary, target)\n            os.replace(target, temporary)\n",
        "test_serialize.py -k order_of_writing",
    ),
    Mutant(
        "checksum of a model not compared",
        "python/chainrule/serialize/_model_files.py",
        'metadata.get("sha256") != _digest(values, metadata)',
        'metadata.get("sha256") is None',
        "test_serialize.py -k bit_flip",
    ),
    Mutant(
        "checksum without the names",
        "python/chainrule/serialize/_model_files.py",
        "for name in sorted(values):\n        value",
        "for name in sorted(values)[1:]:\n        value",
        "test_serialize.py -k bit_flip",
    ),
    Mutant(
        "size of a layer not compared",
        "python/chainrule/serialize/_model_files.py",
        "if value is None or (shape is not None and value.shape != shape):",
        "if value is None:",
        "test_serialize.py -k wrong_content",
    ),
    Mutant(
        "class by any name",
        "python/chainrule/serialize/_model_files.py",
        "if layer is None:\n        raise ValueError",
        "if layer is None and isinstance(kind, str):\n        raise ValueError",
        "test_serialize.py -k wrong_content",
    ),
    Mutant(
        "checksum of a checkpoint not compared",
        "python/chainrule/train/_checkpoint.py",
        'metadata.get("sha256") != _digest(arrays, metadata)',
        'metadata.get("sha256") is None',
        "test_checkpoint.py -k damaged",
    ),
    Mutant(
        "checkpoint loaded in part",
        "python/chainrule/train/_checkpoint.py",
        "parts[part].load_state_dict(before[part])",
        "_ = before[part]",
        "test_checkpoint.py",
    ),
    Mutant(
        "checkpoint without its lists",
        "python/chainrule/train/_checkpoint.py",
        'return [_to_json(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]',
        'return [_to_json(item, f"{name}.{i}", arrays) for i, item in enumerate(value[:1])]',
        "test_checkpoint.py -k come_back",
    ),
    Mutant(
        "cache key without the dtype",
        "python/chainrule/compiler/jit.py",
        "(a.shape, a.dtype, _grad_state(leaf))",
        "(a.shape, _grad_state(leaf))",
        "test_compile.py test_compile_arguments.py",
    ),
    Mutant(
        "cache key without the shape",
        "python/chainrule/compiler/jit.py",
        "(a.shape, a.dtype, _grad_state(leaf))",
        "(a.ndim, a.dtype, _grad_state(leaf))",
        "test_compile.py test_compile_arguments.py",
    ),
    Mutant(
        "guards not compared",
        "python/chainrule/compiler/plan.py",
        "if getattr(owner, attribute) is not value:",
        "if getattr(owner, attribute) is NotImplemented:",
        "test_compile.py test_compile_arguments.py test_compile_nets.py test_dropout.py",
    ),
    Mutant(
        "version of overwritten memory",
        "python/chainrule/compiler/plan.py",
        "        for version in self.versions:\n            version[0] += 1\n        for tensor in self._cleared:\n            tensor._grad = None\n        for i in",
        "        for tensor in self._cleared:\n            tensor._grad = None\n        for i in",
        "test_compile_gradients.py test_compile.py",
    ),
    Mutant(
        "overwrites what is still read",
        "python/chainrule/compiler/memory.py",
        "(d for d in dying if instr.may_overwrite(d, v) and sizes[d] == sizes[v])",
        "(d for d in dying if sizes[d] == sizes[v])",
        "test_compile_nets.py test_compile_gradients.py",
    ),
    Mutant(
        "lifetime too short",
        "python/chainrule/compiler/memory.py",
        "last[v] = max(i, end - 1) if v in whole_loop else i",
        "last[v] = first[v]",
        "test_compile_nets.py test_compile_gradients.py",
    ),
    Mutant(
        "stale prediction",
        "python/chainrule/nn/_predictor.py",
        "unchanged = self._entries is not None and _core.unchanged(self._entries, model)",
        "unchanged = self._entries is not None",
        "test_model_predict.py",
    ),
    Mutant(
        "rows predicted together",
        "python/chainrule/nn/_predictor.py",
        "blocks.rows != _PROBE_ROWS or blocks.after or blocks.sums",
        "blocks.rows < 0",
        "test_model_predict_eager.py test_model_predict_inputs.py test_model_predict.py",
    ),
    Mutant(
        "prediction in training mode",
        "python/chainrule/nn/_evaluate.py",
        "        inner.training = False",
        "        inner.training = mode",
        "test_model_predict.py test_predictor.py test_dropout.py test_nn.py",
    ),
    Mutant(
        "step not counted",
        "python/chainrule/optim/_base.py",
        "            if step_states:\n",
        "            if len(step_states) > 1:\n",
        "test_optim.py",
    ),
    Mutant(
        "clock not loaded",
        "python/chainrule/optim/_base.py",
        '_fill("clock", [array for group in loaded for array in group._step_states], list(state["clock"]))',
        'list(state["clock"])',
        "test_optim_state.py",
    ),
    Mutant(
        "clipping scales up",
        "python/chainrule/optim/_clip.py",
        "ops.minimum(ops.div(max_norm, ops.add(norm, 1e-6)), 1.0)",
        "ops.div(max_norm, ops.add(norm, 1e-6))",
        "test_clip.py",
    ),
    Mutant(
        "overwritten value not noticed",
        "python/chainrule/autodiff/_sweeps.py",
        "if x._version[0] != version:",
        "if x._version[0] < version:",
        "test_autodiff.py",
    ),
    Mutant(
        "gradient replaced",
        "python/chainrule/autodiff/_sweeps.py",
        "                g = ops.add(before, g)\n",
        "                g = ops.add(g, 0)\n",
        "test_autodiff.py",
    ),
    Mutant(
        "gradients added in the other order",
        "python/chainrule/autodiff/_sweeps.py",
        "ops.add(before, part)",
        "ops.add(part, ops.mul(before, 1.0000001))",
        "test_autodiff.py test_gradcheck.py",
    ),
    Mutant(
        "broadcast axis not summed",
        "python/chainrule/autodiff/_sweeps.py",
        "if n == 1 and g.shape[extra + i] != 1)",
        "if n == 1 and g.shape[extra + i] > 2)",
        "test_autodiff.py test_gradcheck.py test_derivatives.py -k 'add or mul or broadcast'",
    ),
    Mutant(
        "memory shared by two gradients",
        "python/chainrule/autodiff/_sweeps.py",
        "elif id(g._version) in taken and",
        "elif id(g._version) in () and",
        "test_autodiff.py",
    ),
    Mutant(
        "a target that is broadcast",
        "python/chainrule/ops/_loss_parts.py",
        "if p.shape != t.shape:",
        "if p.ndim != t.ndim:",
        "test_losses.py",
    ),
    Mutant(
        "weights of the mean",
        "python/chainrule/ops/_loss_parts.py",
        "div(sum(values), _divisor(weight, 1 if",
        "div(sum(values), _divisor(weight, 2 if",
        "test_losses.py",
    ),
    Mutant(
        "the same draws again",
        "python/chainrule/random.py",
        "self.stream = (stream + 1) % 2**64",
        "self.stream = stream",
        "test_random.py",
    ),
    Mutant(
        "one order for all epochs",
        "python/chainrule/train/_trainer.py",
        "epoch_order(n, self.seed, self.next_epoch)",
        "epoch_order(n, self.seed, 0)",
        "test_trainer.py test_fit.py",
    ),
    Mutant(
        "last batch dropped",
        "python/chainrule/train/_trainer.py",
        "for part in (order[:full].reshape(-1, size), order[full:].reshape(1, -1)) if part.size]",
        "for part in (order[:full].reshape(-1, size),) if part.size]",
        "test_fit.py test_trainer.py",
    ),
    Mutant(
        "NaN loss trained on",
        "python/chainrule/train/_trainer.py",
        "        if self._check_loss:\n            _require_finite(value)",
        "        if not self._check_loss:\n            _require_finite(value)",
        "test_trainer.py test_fit.py",
    ),
    Mutant(
        "schedule a step late",
        "python/chainrule/optim/_schedules.py",
        "self.rate(base, self.last_epoch, i)",
        "self.rate(base, max(self.last_epoch - 1, 0), i)",
        "test_schedules.py",
    ),
    Mutant(
        "rows in both parts",
        "python/chainrule/data/_split.py",
        "parts = [order[part[order] == i]",
        "parts = [order[part[order] >= i]",
        "test_split.py",
    ),
    Mutant(
        "the mark of a file's first line",
        "python/chainrule/data/_csv.py",
        '"utf-8-sig" if self.number == 1 else "utf-8"',
        '"utf-8"',
        "test_data.py",
    ),
]
