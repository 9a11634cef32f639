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

// How a run of two phases goes, with 3 shares and then 2, where worker 2 is late:
//
//   open       ticket 7, 3 shares               ticket 8, 2 shares            ticket 9, 0 shares
//   caller     claims 0 .. claims 2 (worker     claims 0 ................     returns: its last ticket was 8
//              2 has not come) ...........
//   worker 1   claims 1 ..                      claims 1 .. opens ticket 9    spins, then sleeps
//   worker 2                      wakes up, finds nothing to claim in phase 7 or 8
//
// A share is claimed by raising its number's `claimed` to the ticket of the phase (compare and exchange), so it is run
// once. Who completes the last share of a phase opens the next one by writing `open`, and the run ends with a ticket of
// 0 shares. All that the shares of a phase wrote is visible in the next one: `completed` and `open` carry it over.
namespace chainrule {
namespace {

constexpr int kMostThreads = 1024;
constexpr size_t kLine = 128;  // two cache lines: they are fetched in pairs

// How long a worker spins before it sleeps. A wake-up takes 20 to 70 us, so a wait between phases is worth about that;
// between runs, the next step of a training loop comes within it. Both are bounds, whatever the work.
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

// The open phase: a ticket that no other phase ever has, and how many shares the phase has; 0 between runs.
constexpr uint64_t kShareBits = 11;
static_assert(kMostThreads < 1 << kShareBits);
constexpr uint64_t phase_word(uint64_t ticket, int shares) {
  return ticket << kShareBits | static_cast<uint64_t>(shares);
}
constexpr uint64_t ticket_of(uint64_t word) { return word >> kShareBits; }
constexpr int shares_of(uint64_t word) { return static_cast<int>(word & ((uint64_t{1} << kShareBits) - 1)); }

[[noreturn]] void host();

thread_local bool t_in_pool = false;

}  // namespace

// What the threads have in common. Constant-initialised and never destroyed: workers may outlive main().
struct PoolState {
  struct alignas(kLine) Worker {
    std::atomic<uint64_t> claimed{0};  // ticket of the last phase whose share of this number was claimed
    std::atomic<int> asleep{0};
  };
  alignas(kLine) std::atomic<uint64_t> open{0};
  alignas(kLine) std::atomic<int> completed{0};  // shares of the open phase
  alignas(kLine) std::atomic<int> wanted{1};     // workers, the caller among them
  std::atomic<int> region{1};                    // workers that the OpenMP region was made for
  std::atomic<bool> taken{false};
  ThreadPool* pool = nullptr;  // whose phase is open
  Worker workers[kMostThreads];

  // Runs what is left of the phase `word`. A stale word does no harm: a share of a phase that is complete has been
  // claimed with its ticket or a later one. Who has claimed a share may use `pool`, which waits for it.
  void work(int self, uint64_t word) {
    const uint64_t ticket = ticket_of(word);
    const int shares = shares_of(word);
    for (int i = 0; i < shares; ++i) {
      const int index = (self + i) % shares;
      std::atomic<uint64_t>& claimed = workers[index].claimed;
      uint64_t before = claimed.load(std::memory_order_relaxed);
      if (before >= ticket || !claimed.compare_exchange_strong(before, ticket, std::memory_order_relaxed)) continue;
      const int phase = static_cast<int>(ticket - pool->first_);
      pool->run_share(phase, {index, shares});
      if (completed.fetch_add(1, std::memory_order_acq_rel) + 1 == shares) open_next(ticket, phase);
    }
  }

  void open_next(uint64_t ticket, int phase) {
    const PoolWork& work = *pool->work_;
    const int shares = phase + 1 < work.phases ? work.shares[phase + 1] : 0;
    completed.store(0, std::memory_order_relaxed);
    open_phase(phase_word(ticket + 1, shares), work.wake_sleeping);
  }
  // The store and the loads of `asleep` are in one order with those of wait(): one of the two sees the other. After the
  // store `pool` may be gone.
  void open_phase(uint64_t word, bool wake_sleeping) {
    open.store(word);
    wake(0);  // the caller waits
    for (int i = 1; wake_sleeping && i < shares_of(word); ++i) wake(i);
  }
  void wake(int worker) {
    std::atomic<int>& asleep = workers[worker].asleep;
    if (asleep.load() != 0 && asleep.exchange(0) != 0) asleep.notify_one();
  }

  // Until another phase is open, or until the pool is to have another size. Spins, then sleeps.
  void wait(int self, uint64_t word, int size) {
    const int64_t most = shares_of(word) > 0 ? kBetweenPhases : kBetweenRuns, start = now();
    do {
      for (int i = 0; i < 32; ++i) {
        if (open.load(std::memory_order_acquire) != word) return;
        relax();
      }
    } while (now() - start < most);
    std::atomic<int>& asleep = workers[self].asleep;
    for (;;) {
      asleep.store(1);
      if (open.load() != word || (self > 0 && wanted.load() != size)) break;
      asleep.wait(1);
    }
    asleep.store(0, std::memory_order_relaxed);
  }

  // The loop of a worker: until the pool is to have another size.
  void serve(int self, int size) {
    const DefaultFpMode mode;
    t_in_pool = true;
    while (wanted.load(std::memory_order_relaxed) == size) {
      const uint64_t word = open.load(std::memory_order_acquire);
      work(self, word);
      if (open.load(std::memory_order_acquire) == word) wait(self, word, size);
    }
  }

  void sleep_until_resized(int size) const {
    while (wanted.load() == size) wanted.wait(size);
  }

  // Makes sure that there are, or soon will be, `size` workers.
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
constinit PoolState g_state;

// In a thread of its own: the OpenMP region whose threads are the workers. Its first one stands for the callers and
// sleeps here, so that the places of OMP_PLACES fall to the others as in any region, and because OMP_WAIT_POLICY=active
// lets threads spin for ever at a region's end. The region uses no variable of this function: TSan does not see how
// OpenMP hands them over.
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

ThreadPool::ThreadPool(int threads) {
  threads = std::min(threads, kMostThreads);
  if (threads <= 1 || g_state.taken.exchange(true, std::memory_order_acquire)) return;
  if (g_state.grow(threads)) {
    threads_ = threads;
  } else {
    g_state.taken.store(false, std::memory_order_release);
  }
}

ThreadPool::~ThreadPool() {
  if (threads_ > 1) g_state.taken.store(false, std::memory_order_release);
}

void ThreadPool::run_share(int phase, Share share) {
  try {
    work_->run(work_->context, phase, share);
  } catch (...) {
    if (!failed_.exchange(true)) error_ = std::current_exception();
  }
}

void ThreadPool::run(const PoolWork& work) {
  const DefaultFpMode mode;
  work_ = &work;
  const bool was_in_pool = std::exchange(t_in_pool, true);
  if (threads_ == 1) {
    for (int phase = 0; phase < work.phases; ++phase) {
      for (int i = 0; i < work.shares[phase]; ++i) run_share(phase, {i, work.shares[phase]});
    }
  } else if (work.phases > 0) {
    first_ = ticket_of(g_state.open.load(std::memory_order_relaxed)) + 1;
    g_state.pool = this;
    g_state.open_phase(phase_word(first_, work.shares[0]), work.wake_sleeping);
    const uint64_t end = first_ + static_cast<uint64_t>(work.phases);
    uint64_t word = g_state.open.load(std::memory_order_acquire);
    while (ticket_of(word) < end) {
      g_state.work(0, word);
      if (g_state.open.load(std::memory_order_acquire) == word) g_state.wait(0, word, 0);
      word = g_state.open.load(std::memory_order_acquire);
    }
  }
  t_in_pool = was_in_pool;
  if (error_ != nullptr) std::rethrow_exception(error_);
}

void run_on_pool(int threads, PoolBody body, void* context) {
  struct Call {
    PoolBody body;
    void* context;
  } call = {body, context};
  ThreadPool pool(threads);
  const int shares = pool.threads();
  const auto run = [](void* c, int, Share share) {
    const Call& called = *static_cast<Call*>(c);
    called.body(called.context, share);
  };
  pool.run({run, &call, &shares, 1});
}

bool in_pool() { return t_in_pool; }

}  // namespace chainrule
