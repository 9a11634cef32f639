#include "threads/stop.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace chainrule {

#if defined(__unix__) || defined(__APPLE__)
namespace {

std::atomic<bool> g_interrupted{false};
struct sigaction g_before;  // of SIGINT while a flag exists

// First what was there: who sees the flag may rely on Python knowing of the signal.
void interrupt(int number, siginfo_t* info, void* context) {
  if ((g_before.sa_flags & SA_SIGINFO) != 0) {
    g_before.sa_sigaction(number, info, context);
  } else {
    g_before.sa_handler(number);
  }
  g_interrupted.store(true, std::memory_order_relaxed);
}

bool in_first_thread() {
#if defined(__APPLE__)
  return pthread_main_np() != 0;
#elif defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#else
  return false;
#endif
}

}  // namespace

InterruptFlag::InterruptFlag(bool wanted) {
  if (!wanted || !in_first_thread() || sigaction(SIGINT, nullptr, &g_before) != 0) return;
  const bool handled =
      (g_before.sa_flags & SA_SIGINFO) != 0 || (g_before.sa_handler != SIG_DFL && g_before.sa_handler != SIG_IGN);
  if (!handled) return;
  g_interrupted.store(false, std::memory_order_relaxed);
  struct sigaction own = g_before;
  own.sa_flags |= SA_SIGINFO;
  own.sa_sigaction = interrupt;
  installed_ = sigaction(SIGINT, &own, nullptr) == 0;
}

InterruptFlag::~InterruptFlag() {
  if (installed_) sigaction(SIGINT, &g_before, nullptr);
}

const std::atomic<bool>* InterruptFlag::flag() const { return installed_ ? &g_interrupted : nullptr; }
#else
InterruptFlag::InterruptFlag(bool) {}
InterruptFlag::~InterruptFlag() = default;
const std::atomic<bool>* InterruptFlag::flag() const { return nullptr; }
#endif

}  // namespace chainrule
