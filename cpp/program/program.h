// A Program is a flat list of instructions over buffer slots. One call runs it: on the thread pool
// (threads/thread_pool.h) with fixed shares, in phases between which threads wait for each other (program/schedule.h),
// or on one thread. Kernel pointers are resolved when the Program is built, for the level active then.
//
// Slots [0, externals) are bound by the caller at each run; the others are temporaries in an arena, at offsets that the
// planner chose: memory whose value is dead is reused.
#pragma once

#include <climits>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel_table.h"
#include "program/schedule.h"
#include "threads/pool_choice.h"
#include "threads/stop.h"
#include "threads/threads.h"

namespace chainrule {

struct FusedBody;  // program/fused.h
struct Instruction;
// Does this thread's share. slots are addresses by slot number; scratch is kGemmScratch bytes of this thread.
using RunFn = void (*)(const Instruction& instruction, void* const* slots, Share share, void* scratch);

constexpr int64_t kAlignment = 64;  // bytes, a cache line: where temporaries, scratch and local buffers begin
constexpr int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Slots inside a body: the surrounding product, and downwards from here buffers of one block.
constexpr int kProduct = -1, kFirstLocal = -2;

struct Instruction {
  std::string name;
  Dtype dtype = kFloat32;
  std::vector<int> outputs, inputs;  // slots
  std::vector<int64_t> ints;         // sizes, strides, flags: program/schema.h has the fields of each instruction
  std::vector<double> reals;
  std::vector<Instruction> body;  // of chain and gemm: the steps on each block, see program/fused.h

  RunFn run = nullptr;
  const void* kernel = nullptr;            // the row or function of the level's table that `run` calls
  double work = 0;                         // estimated nanoseconds on one thread
  std::shared_ptr<const FusedBody> fused;  // the body, resolved
  bool is_check = false;                   // outputs[0] is a CheckFailure: the program stops there unless its code is 0
  bool looks_at_stop = false;              // `run` looks at the stop flag itself when its work is long
  double part_work = kPartWork;            // of the work between two looks at it, on the level of the kernel
};

// The stop flag, or null where an instruction is too short to look at it: reading it takes a call.
inline const std::atomic<bool>* stop_flag_of(const Instruction& instruction) {
  return instruction.work < 2 * instruction.part_work ? nullptr : stop_flag();
}

// The result of a check: code 0, or 1 with the position and the value of the first wrong element.
struct CheckFailure {
  int64_t code, position, value;
};

struct Slot {
  Dtype dtype;
  int64_t elements;
  int64_t offset = -1;  // of a temporary in the arena, in bytes; -1: after all others
};

int64_t item_size(Dtype dtype);
const char* dtype_name(Dtype dtype);

// Checks the instruction's counts, resolves its kernel and estimates its work. Throws std::invalid_argument.
void resolve(Instruction& instruction, const KernelTable& table);

class Runner;

// Part of the instructions for a few rows of a batch at a time. The list holds them up to three times: for the first
// block, for the others (which continue its sums), and for a last one of fewer rows.
struct Loop {
  int begin = 0, length = 0;  // instructions before it, and of one block
  int blocks = 0;             // of whole size; 0: there is no loop
  bool tail = false;
  struct Stream {
    int slot;
    int64_t bytes;  // from block to block
  };
  std::vector<Stream> streams;
};

class Program {
 public:
  Program(std::vector<Slot> slots, int externals, std::vector<Instruction> instructions, Loop loop = {});

  // `external` are the addresses of slots [0, externals). Thread-safe: temporaries are the calling thread's.
  // Returns -1, or the position of the check that failed; no instruction after it has run. Throws Stopped where the
  // stop flag of the thread (threads/stop.h) asks for it before instruction `last_stop`.
  int run(void* const* external, CheckFailure* failure = nullptr, int last_stop = kAnywhere) const;
  static constexpr int kAnywhere = INT_MAX;
  std::string text() const;
  // First instruction and threads of each phase, all instructions in a row.
  std::vector<std::pair<size_t, int>> phases(int threads) const;
  const std::vector<Instruction>& instructions() const { return instructions_; }
  // For tests: `run` of an instruction, to be replaced.
  RunFn& run_of(size_t instruction) { return instructions_[instruction].run; }
  const char* isa() const { return isa_; }
  int64_t arena_bytes() const { return arena_bytes_; }
  double work() const { return work_; }  // estimated nanoseconds of a run on one thread

 private:
  // Instructions that the pool runs in one call.
  struct Piece {
    int begin = 0, end = 0;
    double most_work = 0;  // nanoseconds of the largest instruction
  };
  Piece piece(int begin, int end) const;
  int run_piece(const Piece& piece, void* const* addresses, Runner& runner, int last_stop) const;
  int run_loop(void** addresses, Runner& runner, int last_stop, int& block) const;

  std::vector<Slot> slots_;
  int externals_;
  std::vector<Instruction> instructions_;
  std::vector<int64_t> offsets_;  // of temporaries in the arena
  int64_t arena_bytes_ = 0;
  double work_ = 0;
  double most_work_ = 0;  // nanoseconds of the largest instruction
  Conflicts conflicts_;
  mutable PoolChoice choice_;
  Loop loop_;
  Piece before_, first_, other_, tail_, after_;
  const char* isa_;
};

// Scratch of the calling thread for `threads` threads, and an arena: grown when needed, kept between runs.
struct Workspace {
  void* arena(int64_t bytes);
  void* scratch(int threads);    // thread t's is at + t * kGemmScratch
  void* columns(int64_t bytes);  // of this thread's convolutions
  ~Workspace();

 private:
  void *arena_ = nullptr, *scratch_ = nullptr, *columns_ = nullptr;
  int64_t arena_bytes_ = 0, scratch_bytes_ = 0, column_bytes_ = 0;
};
Workspace& thread_workspace();

// Runs `instruction` outside of a Program (already resolved).
void run_instruction(const Instruction& instruction, void* const* slots);

}  // namespace chainrule
