"""Faults of the kernels, the executor and the build."""

from cases.mutants import Mutant

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
    Mutant("pi in two parts", "cpp/math/sine.h", "neg(third.hi)", "constant(0.0)", "test_sine.py"),
    Mutant(
        "doubtful values kept",
        "cpp/math/float_pair.h",
        "y[i] = Otherwise(x[i])",
        "y[i] = abs(y[i])",
        "test_elementary_rounding.py",
    ),
    Mutant(
        "exp surer than it is",
        "cpp/math/exp.h",
        "0x1p-35f : 0x1p-33f",
        "0x1p-40f : 0x1p-40f",
        "test_elementary_rounding.py",
    ),
    Mutant("huge angles", "cpp/math/sine.h", "static_cast<uint64_t>(low >> 64)", "0", "test_sine.py"),
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
        "test_compile_errors.py -k values_out_of_range",
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
