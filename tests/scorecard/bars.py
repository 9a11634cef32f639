"""The thirty bars: what is claimed, the figures that measure it, the tests by tier.

A test records a figure by pytest's `record_property(name, number)`.
"""

import math
from dataclasses import dataclass, field

# The tiers, and the expression of markers that chooses the tests of each.
TIERS = {"quick": "not full and not nightly", "full": "full", "nightly": "nightly"}


@dataclass(frozen=True)
class Figure:
    """A number that tests record: their sum is at least `least`; with an upper bound, the largest is at most `most`."""

    name: str
    least: float = -math.inf
    most: float = math.inf
    cumulative: bool = False  # over all runs


@dataclass(frozen=True)
class Bar:
    """`tests` are node ids below tests/, by tier; `needs` says what is still missing."""

    number: int
    claim: str
    tests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    needs: str = ""


def select(quick: str = "", full: str = "", nightly: str = "") -> dict[str, tuple[str, ...]]:
    return {
        tier: tuple(f"test_{node}" for node in nodes.split())
        for tier, nodes in (("quick", quick), ("full", full), ("nightly", nightly))
        if nodes
    }


BARS = [
    Bar(
        1,
        "5,500,000 matrix products of all sizes to 49, four transpositions, every level, 1 to 3 threads: the "
        "bits of a plain "
        "chain of fma",
        select("matmul.py::test_every_small_shape", "matmul.py::test_every_shape_to_49"),
        (Figure("products", least=5_500_000),),
    ),
    Bar(
        2,
        "3,000 large and odd shapes (primes, powers of two and their neighbours, k to 65,537, padded rows, k = 0): the "
        "bits of the chain; bias and ReLU fused as unfused",
        select("matmul_shapes.py::test_fused_is_unfused", "matmul_shapes.py"),
        (Figure("shapes", least=3_000),),
    ),
    Bar(
        3,
        "all 2^32 inputs of the float32 elementary functions are correctly rounded on every vector level, every "
        "16th and "
        "all near special values on the scalar level",
        select(nightly="elementary_inputs.py::test_all_inputs"),
        (Figure("inputs", least=9 * 2**32), Figure("misrounded results", most=0)),
    ),
    Bar(
        4,
        "the digest of three trained nets is the recorded one in 120 configurations: levels, 1 to 16 threads, "
        "GCC and clang at "
        "O1 to O3; the kernels' digest on AArch64 under an emulator",
        select("builds.py::test_digest_of_trainings", "cross.py::test_aarch64", "builds.py::test_builds"),
        (Figure("configurations", least=120),),
    ),
    Bar(
        5,
        "100,000 rows predicted in batches of 1 to 257, and in 1,000 random subsets and orders: the bits of the "
        "row alone",
        select("batches.py::test_rows_of_batches batches.py::test_subsets_and_orders"),
        (Figure("rows compared", least=100_000),),
    ),
    Bar(
        6,
        "gradients and updates of 64 rows accumulated over micro-batches, all sizes and uneven ones: the bits "
        "of the whole batch",
        select("batches.py::test_micro_batches"),
        (Figure("splits", least=60),),
    ),
    Bar(
        7,
        "16 floating-point environments (4 roundings, flush to zero, denormals are zero): the same bits, and "
        "the caller's is "
        "restored, on all threads",
        select("fp_modes.py"),
        (Figure("environments", least=16),),
    ),
    Bar(
        8,
        "the documented tree of sums and products is the one that runs, for n = 2 to 4096, on every level",
        select("summation_tree.py::test_some_lengths", "summation_tree.py::test_every_length"),
        (Figure("trees", least=2 * 4_095),),
    ),
    Bar(
        9,
        "the software fma is the hardware's on 10^9 random and 10^6 directed triples",
        select("soft_fma.py::test_some_triples", "soft_fma.py::test_a_billion_triples"),
        (
            Figure("random triples", least=1e9),
            Figure("directed triples", least=1e6),
            Figure("different results", most=0),
        ),
    ),
    Bar(
        10,
        "special values at every position of every length to 67, all ops, every level: 1,000,000 checks",
        select("special_values.py"),
        (Figure("special values", least=1_000_000),),
    ),
    Bar(
        11,
        "no kernel touches memory outside its arrays: sizes to 256 at both ends against protected pages, all "
        "alignments",
        select("guard_pages.py alignment.py", "guard_pages.py::test_nothing_outside_is_touched_at_any_offset"),
        (Figure("guarded calls", least=1_000_000),),
    ),
    Bar(
        12,
        "first and second derivatives of every op, layer and loss on 200 random calls, both modes: against "
        "differences, "
        "relative error 1e-7",
        select(
            "derivatives.py::test_first_derivatives derivatives.py::test_second_derivatives gradcheck.py",
            "derivatives.py::test_more_derivatives",
        ),
        (Figure("calls", least=27_000),),
    ),
    Bar(
        13,
        "20,000 arrays of 20 layouts (strides of any sign, zero, gaps, misaligned, swapped bytes, read-only, "
        "empty, 0-d): "
        "the bits of the contiguous copy, nothing written",
        select("array_zoo.py::test_some_arrays arrays.py", "array_zoo.py::test_many_arrays"),
        (Figure("arrays", least=20_000),),
    ),
    Bar(
        14,
        "20,000 calls with sizes that overflow or that no memory holds: an error, nothing allocated; strides "
        "beyond 2^31 are right",
        select("sizes.py matmul.py::test_strides_beyond_32_bits", "sizes.py::test_twenty_thousand_sizes_are_refused"),
        (Figure("attacks by sizes", least=20_000),),
    ),
    Bar(
        15,
        "50,000,000 fuzzed inputs (programs and tables in C++ with sanitizers, model files and checkpoints): no crash, "
        "hang or leak; loading "
        "runs no code",
        select(
            "container_attacks.py::test_mutants_are_refused "
            "container_attacks.py::test_nothing_runs_while_mutants_are_loaded "
            "container.py",
            "container_attacks.py::test_many_mutants_are_refused fuzz.py::test_some_programs fuzz.py::test_some_tables",
            "fuzz.py::test_many_programs fuzz.py::test_many_tables",
        ),
        (Figure("fuzzed inputs", least=50_000_000, cumulative=True),),
    ),
    Bar(
        16,
        "every flipped bit and every cut of a model file and a checkpoint, 50,000 of them, is a ModelFormatError",
        select("serialize.py::test_every_bit_flip_and_every_cut_is_found", "bit_flips.py"),
        (Figure("changed files", least=50_000),),
    ),
    Bar(
        17,
        "50 files that ask for too much: judged in a second of an idle machine, with twice the file and 64 MiB "
        "of memory",
        select(
            "container_attacks.py::test_bombs_take_little_time_and_memory",
            "container_attacks.py::test_lies_take_little_time_and_memory",
        ),
        (Figure("bombs", least=50),),
    ),
    Bar(
        18,
        "a save killed at every system call, and 5 kinds of errors at each: the old or the new file, whole; success is "
        "reported after the folder is synced",
        select(
            "files_killed.py::test_a_kill_at_every_call files_killed.py::test_an_error_at_every_call",
            "files_killed.py::test_every_system_call",
        ),
        (Figure("system calls", least=16),),
    ),
    Bar(
        19,
        "2,000 kills at random times and every state after a power failure: no torn or lost checkpoint",
        select(
            "files_killed.py::test_every_power_failure "
            "files_killed.py::test_the_model_of_power_failures_finds_a_missing_sync",
            "files_killed.py::test_two_thousand_kills",
        ),
        (Figure("kills", least=2_000),),
    ),
    Bar(
        20,
        "a training resumed at every step from 0 to 200, on another level and number of threads: the bits of the "
        "uninterrupted one",
        select("resume.py resume_refused.py checkpoint.py", "resume.py::test_resume_at_every_step"),
        (Figure("steps", least=200),),
    ),
    Bar(
        21,
        "every allocation of a training, a save, a load and a prediction failed, once and from then on: a MemoryError, "
        "the model unchanged, nothing lost",
        select("short_memory.py", "short_memory.py::test_every_allocation_fails"),
        (Figure("failed allocations", least=1_000),),
    ),
    Bar(
        22,
        "1,000 forks after training, pools of every start method, scikit-learn and PyTorch imported before or "
        "after: no hang, the same "
        "bits",
        select(
            "threads.py::test_pools_of_processes threads.py::test_forked_children_predict_and_train",
            "forks.py neighbours.py",
        ),
        (Figure("forks", least=1_000),),
    ),
    Bar(
        23,
        "Python threads that predict, evaluate and train shared and own models for 60 s, and ThreadSanitizer "
        "over pool, programs "
        "and kernels without suppressions: nothing wrong, nothing reported; Python without the GIL",
        select(
            "model_threads.py threads.py thread_limits.py",
            "model_threads.py::test_eight_threads_for_a_minute threads.py::test_the_pool_under_sanitizers "
            "threads.py::test_programs_under_the_thread_sanitizer",
        ),
        needs="8 threads, not 16, and no Python without the GIL: none could be installed",
    ),
    Bar(
        24,
        "200 stops by SIGINT and SIGKILL at random times: at a step's boundary, resumed with the uninterrupted "
        "bits; a long "
        "operation ends within 200 ms",
        select(
            "interrupt.py long_operations.py",
            "resume.py::test_random_stops long_operations.py::test_an_operation_ends_soon",
        ),
        (Figure("stops", least=200),),
    ),
    Bar(
        25,
        "a graph of 1,000,000 nodes forward, backward and freed on a stack of 256 KiB",
        select("deep_graph.py", "deep_graph.py::test_a_chain_of_nodes"),
        (Figure("nodes", least=1_000_000),),
    ),
    Bar(
        26,
        "an exception on every thread of every parallel region is the caller's, and the core works on",
        select("share_exceptions.py threads.py::test_an_exception_of_a_share_is_the_caller_s"),
        (Figure("exceptions", least=100),),
    ),
    Bar(
        27,
        "20,000 rounds of training, predicting, saving and loading: 1 MiB more memory at most, no tensor left; "
        "40 tests under "
        "valgrind without an error",
        select("leaks.py::test_some_rounds", "leaks.py::test_many_rounds", "leaks.py::test_valgrind"),
        (
            Figure("rounds", least=20_000),
            Figure("KiB of growth", most=1_024),
            Figure("tests under valgrind", least=40),
        ),
    ),
    Bar(
        28,
        "CPUs without AVX or AVX-512, and AArch64, under an emulator: the same digest; no wider instructions "
        "outside their level, no "
        "weak symbols, no libm",
        select("binary.py isa.py", "cross.py old_cpus.py"),
    ),
    Bar(
        29,
        "scikit-learn's checks of estimators, all of them",
        select("sklearn_checks.py::test_every_check", "sklearn_checks.py::test_every_check_of_other_configurations"),
        (Figure("checks", least=50),),
    ),
    Bar(
        30,
        "40 seeded faults are all caught by quick tests named beside each",
        select("mutants.py::test_mutants_find_their_place", "mutants.py"),
        (Figure("faults caught", least=40),),
    ),
]
