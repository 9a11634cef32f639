// Several threads use thread pools of varying sizes concurrently; every phase reads the values that all shares of the
// previous phase wrote.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "threads/thread_pool.h"

using namespace chainrule;

namespace {

constexpr int64_t kCells = 64;

struct Field {
  int64_t cells[2][kCells] = {};  // phase p writes [(p + 1) % 2] from [p % 2]
};

void body(void* context, int phase, Share share) {
  Field& field = *static_cast<Field*>(context);
  const Range part = share_range(kCells, 1, share);
  for (int64_t i = part.begin; i < part.end; ++i)
    field.cells[(phase + 1) % 2][i] = field.cells[phase % 2][(i + 1) % kCells] + 1;
}

void use_pool(unsigned seed, std::chrono::steady_clock::time_point end, std::atomic<long>& runs,
              std::atomic<long>& wrong) {
  const auto below = [&seed](int n) { return rand_r(&seed) % n; };
  while (std::chrono::steady_clock::now() < end) {
    ThreadPool pool(1 + below(8));
    const int phases = 1 + below(40);
    std::vector<int> shares;
    for (int p = 0; p < phases; ++p) shares.push_back(1 + below(pool.threads()));
    Field field;
    pool.run({body, &field, shares.data(), phases, below(2) == 0});
    for (const int64_t cell : field.cells[phases % 2]) wrong += cell != phases;
    runs += pool.threads() > 1;
    if (below(50) == 0) std::this_thread::sleep_for(std::chrono::microseconds(below(1000)));
  }
}

}  // namespace

int main(int, char** argv) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[1]));
  std::atomic<long> runs{0}, wrong{0};
  std::vector<std::thread> callers;
  for (unsigned seed = 1; seed <= 3; ++seed) callers.emplace_back([&, seed] { use_pool(seed, end, runs, wrong); });
  for (std::thread& caller : callers) caller.join();
  std::printf("%ld runs of the pool, %ld wrong cells\n", runs.load(), wrong.load());
  return runs == 0 || wrong != 0;
}
