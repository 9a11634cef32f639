#include "threads/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <signal.h>
#endif
#if defined(__linux__)
#include <sched.h>
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

constexpr int64_t kRetry = 1'000'000'000;  // nanoseconds until a thread that could not be started is tried again

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

thread_local bool t_in_pool = false;

}  // namespace

// What the threads have in common. Constant-initialised and never destroyed: workers may outlive main().
struct PoolState {
  struct alignas(kLine) Worker {
    std::atomic<uint64_t> claimed{0};  // ticket of the last phase whose share of this number was claimed
    std::atomic<int> asleep{0};
    std::atomic<bool> running{false};  // a thread has this number
  };
  alignas(kLine) std::atomic<uint64_t> open{0};
  alignas(kLine) std::atomic<int> completed{0};  // shares of the open phase
  alignas(kLine) std::atomic<int> wanted{1};     // workers, the caller among them
  std::atomic<int> started{1};                   // of them
  std::atomic<bool> taken{false};
  int64_t retry = 0;           // when to start threads again after a failure
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

  // Until another phase is open, or until the worker is not wanted. Spins, then sleeps.
  void wait(int self, uint64_t word) {
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
      if (open.load() != word || self >= wanted.load()) break;
      asleep.wait(1);
    }
    asleep.store(0, std::memory_order_relaxed);
  }

  // The loop of a worker: until it is not wanted. Who wants it again meanwhile either finds it running, and then it
  // sees that it is wanted, or starts another thread.
  void serve(int self) {
    const DefaultFpMode mode;
    t_in_pool = true;
    std::atomic<bool>& running = workers[self].running;
    do {
      while (self < wanted.load(std::memory_order_relaxed)) {
        const uint64_t word = open.load(std::memory_order_acquire);
        work(self, word);
        if (open.load(std::memory_order_acquire) == word) wait(self, word);
      }
      running.store(false);
    } while (self < wanted.load() && !running.exchange(true));
  }

  // Starts workers up to `size`, the caller among them; returns how many there are, or soon will be.
  int grow(int size) {
    int before = wanted.load(std::memory_order_relaxed);
    while (before < size && !wanted.compare_exchange_weak(before, size)) {
    }
    const int ready = started.load(std::memory_order_relaxed);
    if (ready >= size) return size;
    if (retry > 0 && now() < retry) return ready;
    int count = ready;
    while (count < size && (workers[count].running.exchange(true) || start(count))) ++count;
    started.store(count, std::memory_order_relaxed);
    retry = count < size ? now() + kRetry : 0;
    return count;
  }
  bool start(int worker);

  void shrink(int size) {
    int before = wanted.load(std::memory_order_relaxed);
    while (before > size && !wanted.compare_exchange_weak(before, size)) {
    }
    int ready = started.load(std::memory_order_relaxed);
    while (ready > size && !started.compare_exchange_weak(ready, size)) {
    }
    for (int i = size; i < before; ++i) wake(i);
  }
};

namespace {
constinit PoolState g_state;

// OMP_PLACES and OMP_PROC_BIND hold for the workers as for threads of an OpenMP region, whose first one is the caller.
void take_place([[maybe_unused]] int worker) {
#if defined(_OPENMP) && defined(__linux__)
  const int places = omp_get_proc_bind() == omp_proc_bind_false ? 0 : omp_get_num_places();
  if (places < 1) return;
  const int place = worker % places;
  std::vector<int> cpus(static_cast<size_t>(omp_get_place_num_procs(place)));
  omp_get_place_proc_ids(place, cpus.data());
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(static_cast<size_t>(cpu), &set);
  sched_setaffinity(0, sizeof set, &set);
#endif
}

// Signals are for the threads of the program; faults stay where they happen.
class BlockedSignals {
 public:
#if defined(__unix__) || defined(__APPLE__)
  BlockedSignals() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&blocked, fault);
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
#endif
};

}  // namespace

bool PoolState::start(int worker) {
  try {
    const BlockedSignals blocked;  // a thread begins with its creator's mask
    std::thread([worker] {
      take_place(worker);
      g_state.serve(worker);
    }).detach();
    return true;
  } catch (...) {  // no more threads, or no memory for one
    workers[worker].running.store(false);
    return false;
  }
}

ThreadPool::ThreadPool(int threads) {
  threads = std::min(threads, kMostThreads);
  if (threads <= 1 || g_state.taken.exchange(true, std::memory_order_acquire)) return;
  threads_ = g_state.grow(threads);
  if (threads_ == 1) g_state.taken.store(false, std::memory_order_release);
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
      if (g_state.open.load(std::memory_order_acquire) == word) g_state.wait(0, word);
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

void limit_pool(int threads) { g_state.shrink(std::max(1, threads)); }

}  // namespace chainrule
