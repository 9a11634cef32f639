#include "program/program.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <sstream>
#include <stdexcept>

#include "isa.h"
#include "program/addresses.h"
#include "program/checked.h"
#include "program/instructions.h"
#include "program/runner.h"

namespace chainrule {
namespace {

void* aligned_buffer(int64_t bytes) {
  void* p = std::aligned_alloc(kAlignment, static_cast<size_t>(aligned(bytes)));
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

void grow(void*& buffer, int64_t& have, int64_t need) {
  if (need <= have) return;
  void* larger = aligned_buffer(need);
  std::free(buffer);
  buffer = larger;
  have = need;
}

void check_slots(const Instruction& instruction, int n, const KernelTable& table) {
  for (const std::vector<int>* list : {&instruction.outputs, &instruction.inputs}) {
    for (const int slot : *list) {
      if (slot >= 0 && slot < n) continue;
      const InstructionRow* const row = find_instruction(instruction.name, table);
      const bool dropped = slot == kProduct && list == &instruction.outputs && row != nullptr && row->may_drop_output;
      if (!dropped)
        throw std::invalid_argument("Program: " + instruction.name + " names slot " + std::to_string(slot) + " of " +
                                    std::to_string(n));
    }
  }
}

double nanoseconds_now() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int64_t item_size(Dtype dtype) {
  constexpr int64_t size[] = {4, 8, 8, 1};
  return size[dtype];
}

const char* dtype_name(Dtype dtype) {
  constexpr const char* name[] = {"float32", "float64", "int64", "bool"};
  return name[dtype];
}

void* Workspace::arena(int64_t bytes) {
  grow(arena_, arena_bytes_, bytes);
  return arena_;
}
void* Workspace::scratch(int threads) {
  grow(scratch_, scratch_bytes_, threads * kGemmScratch);
  return scratch_;
}
void* Workspace::columns(int64_t bytes) {
  grow(columns_, column_bytes_, bytes);
  return columns_;
}
Workspace::~Workspace() {
  std::free(arena_);
  std::free(columns_);
  std::free(scratch_);
}
Workspace& thread_workspace() { return of_thread<Workspace>(); }

void run_instruction(const Instruction& instruction, void* const* slots) {
  static const Conflicts none;
  Runner(thread_rule(instruction.work), instruction.work, thread_workspace())
      .run(&instruction, 0, 1, instruction.work, slots, none);
}

Program::Program(std::vector<Slot> slots, int externals, std::vector<Instruction> instructions, Loop loop)
    : slots_(std::move(slots)), externals_(externals), instructions_(std::move(instructions)), loop_(std::move(loop)) {
  const int n = static_cast<int>(slots_.size());
  if (externals_ < 0 || externals_ > n)
    throw std::invalid_argument("Program: externals must be in 0.." + std::to_string(n));
  const KernelTable& table = active_kernels();
  isa_ = table.isa;
  for (Instruction& instruction : instructions_) {
    check_slots(instruction, n, table);
    resolve(instruction, table);
    work_ += instruction.work;
    most_work_ = std::max(most_work_, instruction.work);
  }
  const int all = static_cast<int>(instructions_.size());
  const int copies = loop_.blocks > 0 ? 2 + (loop_.tail ? 1 : 0) : 0;
  if (loop_.begin < 0 || loop_.length < 0 || loop_.blocks < 0 || loop_.begin > all ||
      loop_.length > (all - loop_.begin) / std::max(copies, 1))
    throw std::invalid_argument("Program: the loop has more instructions than there are");
  for (const Loop::Stream& stream : loop_.streams) {
    if (stream.slot < 0 || stream.slot >= n)
      throw std::invalid_argument("Program: the loop streams a slot that is not");
  }
  const int repeated = loop_.begin + loop_.length * copies;
  const int first = loop_.begin, other = first + loop_.length, tail = other + loop_.length;
  before_ = piece(0, loop_.blocks > 0 ? first : 0);
  if (loop_.blocks > 0) {
    first_ = piece(first, other);
    other_ = piece(other, tail);
    if (loop_.tail) tail_ = piece(tail, repeated);
  }
  after_ = piece(loop_.blocks > 0 ? repeated : 0, all);
  for (size_t i = static_cast<size_t>(externals_); i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.offset >= 0 && slot.offset % kAlignment != 0)
      throw std::invalid_argument("Program: offsets must be multiples of " + std::to_string(kAlignment));
    offsets_.push_back(slot.offset >= 0 ? slot.offset : arena_bytes_);
    const Extent end = Extent(offsets_.back()) + Extent(slot.elements) * item_size(slot.dtype) + kAlignment;
    arena_bytes_ = std::max(arena_bytes_, aligned(end.value("Program: the temporaries") - kAlignment));
  }
  conflicts_ = Conflicts(slots_, externals_, offsets_, instructions_);
}

Program::Piece Program::piece(int begin, int end) const {
  Piece result = {begin, end, 0};
  for (int i = begin; i < end; ++i)
    result.most_work = std::max(result.most_work, instructions_[static_cast<size_t>(i)].work);
  return result;
}

int Program::run_piece(const Piece& piece, void* const* addresses, Runner& runner, int last_stop) const {
  if (piece.begin == piece.end) return -1;
  int begin = piece.begin;
  const auto run_until = [&](int end) {
    const auto first = static_cast<size_t>(std::exchange(begin, end));
    return runner.run(instructions_.data(), first, static_cast<size_t>(end), piece.most_work, addresses, conflicts_);
  };
  if (last_stop < piece.end && runner.stoppable()) {
    const int failed = last_stop > begin ? run_until(last_stop) : -1;
    if (failed >= 0) return failed;
    runner.run_to_the_end();
  }
  return run_until(piece.end);
}

int Program::run_loop(void** addresses, Runner& runner, int last_stop, int& block) const {
  const int blocks = loop_.blocks + (loop_.tail ? 1 : 0);
  for (block = 0; block < blocks; ++block) {
    const Piece& piece = block == 0 ? first_ : block < loop_.blocks ? other_ : tail_;
    const int failed = run_piece(piece, addresses, runner, last_stop);
    if (failed >= 0) return failed;
    for (const Loop::Stream& stream : loop_.streams) {
      addresses[stream.slot] = static_cast<char*>(addresses[stream.slot]) + stream.bytes;
    }
  }
  for (const Loop::Stream& stream : loop_.streams) {
    addresses[stream.slot] = static_cast<char*>(addresses[stream.slot]) - blocks * stream.bytes;
  }
  return -1;
}

int Program::run(void* const* external, CheckFailure* failure, int last_stop) const {
  Workspace& workspace = thread_workspace();
  Addresses list(slots_.size());
  void** const addresses = list.data();
  std::copy(external, external + externals_, addresses);
  if (arena_bytes_ > 0) {
    char* const arena = static_cast<char*>(workspace.arena(arena_bytes_));
    for (size_t i = 0; i < offsets_.size(); ++i) addresses[static_cast<size_t>(externals_) + i] = arena + offsets_[i];
  }
  ThreadRule rule = thread_rule(most_work_);
  const bool measured = rule.most > 1 && rule.least > 0;  // 0: tests force threads
  if (measured && !choice_.use_pool()) rule.most = 1;
  const double start = measured ? nanoseconds_now() : 0;
  Runner runner(rule, work_, workspace);
  int block = 0;
  int failed = run_piece(before_, addresses, runner, last_stop);
  if (failed < 0 && loop_.blocks > 0) failed = run_loop(addresses, runner, last_stop, block);
  const bool in_loop = failed >= before_.end;
  if (failed < 0) failed = run_piece(after_, addresses, runner, last_stop);
  if (failed < 0 && measured) choice_.took(runner.threads() > 1, nanoseconds_now() - start);
  if (failed >= 0 && failure != nullptr) {
    *failure = *static_cast<const CheckFailure*>(addresses[instructions_[static_cast<size_t>(failed)].outputs[0]]);
    if (in_loop && block > 0) {  // positions count from the block's first row
      const int in_first = loop_.begin + (failed - loop_.begin) % loop_.length;
      failure->position += block * schema::checked_elements(instructions_[static_cast<size_t>(in_first)]);
    }
  }
  return failed;
}

std::vector<std::pair<size_t, int>> Program::phases(int threads) const {
  Phases phases;
  phases.plan(instructions_.data(), 0, instructions_.size(), conflicts_, {threads, min_parallel_work()});
  std::vector<std::pair<size_t, int>> result;
  for (int i = 0; i < phases.count(); ++i) result.emplace_back(phases.begin(i), phases.shares()[i]);
  return result;
}

std::string Program::text() const {
  std::ostringstream text;
  text.precision(17);
  const auto slot = [this, &text](int i) -> std::ostream& {
    if (i < 0) return i == kProduct ? text << 'c' : text << 'l' << kFirstLocal - i;  // of a body
    return i < externals_ ? text << '%' << i : text << 't' << i - externals_;
  };
  text << "program on " << isa_ << ", " << externals_ << " external slots, arena " << arena_bytes_ << " bytes\n";
  for (size_t i = 0; i < slots_.size(); ++i) {
    text << "  ";
    slot(static_cast<int>(i)) << ": " << dtype_name(slots_[i].dtype) << '[' << slots_[i].elements << "]\n";
  }
  const auto line = [&text, &slot](const Instruction& instruction, const char* indent) {
    text << indent;
    for (const int i : instruction.outputs) slot(i) << ' ';
    text << "= " << instruction.name << '.' << dtype_name(instruction.dtype);
    for (const int i : instruction.inputs) {
      text << ' ';
      slot(i);
    }
    text << "  (";
    const char* separator = "";
    for (const int64_t x : instruction.ints) text << std::exchange(separator, " ") << x;
    for (const double x : instruction.reals) text << "; " << x;
    text << ")\n";
  };
  for (const Instruction& instruction : instructions_) {
    line(instruction, "  ");
    for (const Instruction& step : instruction.body) line(step, "    ");
  }
  return text.str();
}

}  // namespace chainrule
