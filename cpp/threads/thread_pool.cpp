#include "threads/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "threads/fp_mode.h"

namespace chainrule {
namespace {

constexpr int kMostThreads = 1024;
constexpr size_t kLine = 128;  // two cache lines: they are fetched in pairs

// How long a member looks before it sleeps. Waking takes 20 to 70 us, so a wait between phases is worth about that;
// between runs, somebody who trains comes back within it. Both are bounds, whatever the work.
constexpr int64_t kBetweenPhases = 50'000, kBetweenRuns = 200'000;  // nanoseconds

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // `yield` takes no time on most cores
#endif
}

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The open phase: a ticket that no other phase ever has, and how many lanes the phase has; 0 between runs.
constexpr uint64_t kLaneBits = 11;
static_assert(kMostThreads < 1 << kLaneBits);
constexpr uint64_t phase_word(uint64_t ticket, int lanes) { return ticket << kLaneBits | static_cast<uint64_t>(lanes); }
constexpr uint64_t ticket_of(uint64_t word) { return word >> kLaneBits; }
constexpr int lanes_of(uint64_t word) { return static_cast<int>(word & ((uint64_t{1} << kLaneBits) - 1)); }

[[noreturn]] void host();

thread_local bool t_in_team = false;

}  // namespace

// What members share. Constant-initialised and never destroyed: they may outlive main().
struct TeamState {
  struct alignas(kLine) Member {
    std::atomic<uint64_t> claimed{0};  // ticket of the last phase whose lane of this number was taken
    std::atomic<int> asleep{0};
  };
  alignas(kLine) std::atomic<uint64_t> open{0};
  alignas(kLine) std::atomic<int> done{0};    // lanes of the open phase
  alignas(kLine) std::atomic<int> wanted{1};  // members, the caller among them
  std::atomic<int> region{1};                 // members that the OpenMP region was made for
  std::atomic<bool> taken{false};
  Team* team = nullptr;  // whose phase is open
  Member members[kMostThreads];

  // Does what is left of the phase `word`. A stale word does no harm: a lane of a phase that is complete has been
  // claimed with its ticket or a later one. Who has claimed a lane may use `team`, which waits for it.
  void work(int self, uint64_t word) {
    const uint64_t ticket = ticket_of(word);
    const int lanes = lanes_of(word);
    for (int i = 0; i < lanes; ++i) {
      const int lane = (self + i) % lanes;
      std::atomic<uint64_t>& claimed = members[lane].claimed;
      uint64_t before = claimed.load(std::memory_order_relaxed);
      if (before >= ticket || !claimed.compare_exchange_strong(before, ticket, std::memory_order_relaxed)) continue;
      const int phase = static_cast<int>(ticket - team->first_);
      team->run_lane(phase, {lane, lanes});
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == lanes) open_next(ticket, phase);
    }
  }

  void open_next(uint64_t ticket, int phase) {
    const TeamWork& work = *team->work_;
    const int lanes = phase + 1 < work.phases ? work.lanes[phase + 1] : 0;
    done.store(0, std::memory_order_relaxed);
    open_phase(phase_word(ticket + 1, lanes), work.wakes);
  }
  // The store and the loads of `asleep` are in one order with those of wait(): one of the two sees the other. After the
  // store the team may be gone.
  void open_phase(uint64_t word, bool wakes) {
    open.store(word);
    wake(0);  // the caller waits
    for (int i = 1; wakes && i < lanes_of(word); ++i) wake(i);
  }
  void wake(int member) {
    std::atomic<int>& asleep = members[member].asleep;
    if (asleep.load() != 0 && asleep.exchange(0) != 0) asleep.notify_one();
  }

  // Until another phase is open, or until the team is to have another size. Spins, then sleeps.
  void wait(int self, uint64_t word, int size) {
    const int64_t most = lanes_of(word) > 0 ? kBetweenPhases : kBetweenRuns, start = now();
    do {
      for (int i = 0; i < 32; ++i) {
        if (open.load(std::memory_order_acquire) != word) return;
        relax();
      }
    } while (now() - start < most);
    std::atomic<int>& asleep = members[self].asleep;
    for (;;) {
      asleep.store(1);
      if (open.load() != word || (self > 0 && wanted.load() != size)) break;
      asleep.wait(1);
    }
    asleep.store(0, std::memory_order_relaxed);
  }

  // A member's life: until the team is to have another size.
  void serve(int self, int size) {
    const DefaultFpMode mode;
    t_in_team = true;
    while (wanted.load(std::memory_order_relaxed) == size) {
      const uint64_t word = open.load(std::memory_order_acquire);
      work(self, word);
      if (open.load(std::memory_order_acquire) == word) wait(self, word, size);
    }
  }

  void sleep_until_resized(int size) const {
    while (wanted.load() == size) wanted.wait(size);
  }

  // Makes sure that there are, or soon will be, `size` members.
  bool grow(int size) {
    const int before = wanted.load(std::memory_order_relaxed);
    if (before >= size) return true;
    wanted.store(size);
    if (before > 1) {
      for (int i = 1; i < before; ++i) wake(i);
      wanted.notify_all();
      return true;
    }
    try {
      std::thread(host).detach();
    } catch (const std::system_error&) {
      wanted.store(1);
      return false;
    }
    return true;
  }
};

namespace {
constinit TeamState g_state;

// In a thread of its own: the OpenMP region whose members serve. Its first one stands for the callers and sleeps here,
// so that the places of OMP_PLACES fall to the others as in any region, and because OMP_WAIT_POLICY=active lets threads
// spin for ever at a region's end. The region uses no variable of this function: TSan does not see how OpenMP hands
// them over.
void host() {
  for (;;) {
    const int size = g_state.wanted.load();
    g_state.region.store(size);
#if defined(_OPENMP)
#pragma omp parallel num_threads(size)
    if (omp_get_thread_num() > 0) {
      g_state.serve(omp_get_thread_num(), g_state.region.load());
    } else {
      g_state.sleep_until_resized(g_state.region.load());
    }
#else
    g_state.sleep_until_resized(size);
#endif
  }
}

}  // namespace

Team::Team(int threads) {
  threads = std::min(threads, kMostThreads);
  if (threads <= 1 || g_state.taken.exchange(true, std::memory_order_acquire)) return;
  if (g_state.grow(threads)) {
    threads_ = threads;
  } else {
    g_state.taken.store(false, std::memory_order_release);
  }
}

Team::~Team() {
  if (threads_ > 1) g_state.taken.store(false, std::memory_order_release);
}

void Team::run_lane(int phase, Share lane) {
  try {
    work_->lane(work_->context, phase, lane);
  } catch (...) {
    if (!failed_.exchange(true)) error_ = std::current_exception();
  }
}

void Team::run(const TeamWork& work) {
  const DefaultFpMode mode;
  work_ = &work;
  const bool was_in_team = std::exchange(t_in_team, true);
  if (threads_ == 1) {
    for (int phase = 0; phase < work.phases; ++phase) {
      for (int lane = 0; lane < work.lanes[phase]; ++lane) run_lane(phase, {lane, work.lanes[phase]});
    }
  } else if (work.phases > 0) {
    first_ = ticket_of(g_state.open.load(std::memory_order_relaxed)) + 1;
    g_state.team = this;
    g_state.open_phase(phase_word(first_, work.lanes[0]), work.wakes);
    const uint64_t end = first_ + static_cast<uint64_t>(work.phases);
    uint64_t word = g_state.open.load(std::memory_order_acquire);
    while (ticket_of(word) < end) {
      g_state.work(0, word);
      if (g_state.open.load(std::memory_order_acquire) == word) g_state.wait(0, word, 0);
      word = g_state.open.load(std::memory_order_acquire);
    }
  }
  t_in_team = was_in_team;
  if (error_ != nullptr) std::rethrow_exception(error_);
}

void run_team(int threads, TeamBody body, void* context) {
  struct Call {
    TeamBody body;
    void* context;
  } call = {body, context};
  Team team(threads);
  const int lanes = team.threads();
  team.run({[](void* c, int, Share share) { static_cast<Call*>(c)->body(static_cast<Call*>(c)->context, share); },
            &call, &lanes, 1});
}

bool in_team() { return t_in_team; }

}  // namespace chainrule
