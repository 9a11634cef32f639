// Programs in several threads: trainings that write their weights, predictions that read them between two steps, runs
// that are stopped, all on thread pools whose size changes meanwhile. Every result is compared with that of one thread.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "isa.h"
#include "program/program.h"
#include "program/schema.h"
#include "threads/step_lock.h"
#include "threads/stop.h"

using namespace chainrule;

namespace {

constexpr int64_t kRows = 40, kColumns = 33;
constexpr int kSteps = 12;
using Values = std::vector<float>;

Values numbers(size_t n, uint64_t state) {
  Values v(n);
  for (float& x : v) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    x = static_cast<float>(static_cast<double>(state >> 40) / (1 << 24) - 0.5);
  }
  return v;
}

Instruction instruction(const char* name, std::vector<int> outputs, std::vector<int> inputs) {
  Instruction op;
  op.name = name;
  op.outputs = std::move(outputs);
  op.inputs = std::move(inputs);
  return op;
}
Instruction product(int out, int a, int b, const schema::Product& sizes) {
  Instruction op = instruction("matmul", {out}, {a, b});
  schema::write_matmul(op, sizes);
  return op;
}
Instruction tanh_of(int out, int x, int64_t n) {
  Instruction op = instruction("tanh", {out}, {x});
  schema::write_flat_map(op, 1, n);
  return op;
}

// Slots of both programs: x, y (rows x columns), w, v (columns x columns), hyperparameters, then temporaries.
constexpr int kX = 0, kY = 1, kW = 2, kV = 3, kHyper = 4, kTemporary = 5;
constexpr int64_t kBatch = kRows * kColumns, kWeights = kColumns * kColumns;
const schema::Product kForward = {kRows, kColumns, kColumns, kColumns, 1, kColumns, 1, kColumns};
const schema::Product kBackward = {kColumns, kColumns, kRows, 1, kColumns, kColumns, 1, kColumns};

std::vector<Slot> slots() {
  return {{kFloat32, kBatch}, {kFloat32, kBatch}, {kFloat32, kWeights}, {kFloat32, kWeights},
          {kFloat64, 4},      {kFloat32, kBatch}, {kFloat32, kWeights}, {kFloat32, kRows}};
}
Program step_program() {
  std::vector<Instruction> code = {product(kTemporary, kX, kW, kForward), tanh_of(kY, kTemporary, kBatch),
                                   product(kTemporary + 1, kX, kY, kBackward)};
  Instruction update = instruction("sgd", {kW, kV}, {kTemporary + 1, kHyper});
  schema::write(update, schema::Update{kWeights, 0});
  code.push_back(update);
  return Program(slots(), kTemporary, code);
}
Program predict_program() {
  std::vector<Instruction> code = {product(kTemporary, kX, kW, kForward)};
  Instruction softmax = instruction("softmax", {kY}, {kTemporary});
  schema::write(softmax, schema::Rowwise{kRows, kColumns});
  code.push_back(softmax);
  return Program(slots(), kTemporary, code);
}

struct Model {
  Values x = numbers(kBatch, 1), w = numbers(kWeights, 2), v = Values(kWeights);
  std::vector<double> hyper = {0.05, 0.9, 0.0, 1.0};
  StepLock lock;

  void restart() {
    lock.write();
    w = numbers(kWeights, 2);
    std::fill(v.begin(), v.end(), 0.0f);
    lock.end_write();
  }
  void step(const Program& program, Values& y) {
    void* const externals[] = {x.data(), y.data(), w.data(), v.data(), hyper.data()};
    program.run(externals);
  }
  Values predict(const Program& program) {
    Values y(kBatch);
    lock.read();
    void* const externals[] = {x.data(), y.data(), w.data(), v.data(), hyper.data()};
    program.run(externals);
    lock.end_read();
    return y;
  }
};

std::atomic<long> g_wrong{0}, g_trainings{0}, g_predictions{0}, g_stops{0};

struct Expected {
  std::set<Values> predictions;
  Values weights;
};

void train(Model& model, const Program& program, const Expected& expected) {
  Values y(kBatch);
  model.restart();
  model.lock.write();
  for (int i = 0; i < kSteps; ++i) {
    model.step(program, y);
    if (!model.lock.readers_wait()) continue;
    model.lock.end_write();
    model.lock.await_reader();
    model.lock.write();
  }
  g_wrong += model.w != expected.weights;
  model.lock.end_write();
  ++g_trainings;
}

void predict(Model& model, const Program& program, const Expected& expected) {
  g_wrong += expected.predictions.count(model.predict(program)) == 0;
  ++g_predictions;
}

// Another thread stops the run at some time; what it wrote is written again.
void stop(const Program& program, const Values& expected) {
  Model model;
  std::atomic<bool> flag{false};
  std::thread other([&flag] {
    std::this_thread::yield();
    flag.store(true, std::memory_order_relaxed);
  });
  try {
    const StopScope scope(&flag);
    for (;;) model.predict(program);
  } catch (const Stopped&) {
    model.lock.reset();
  }
  other.join();
  g_wrong += model.predict(program) != expected;
  ++g_stops;
}

}  // namespace

int main(int argc, char** argv) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 5);
  if (argc > 2) use_level(argv[2]);
  set_min_parallel_work(0);
  set_num_threads(1);
  const Program step = step_program(), forward = predict_program();
  Expected expected;
  Values first;
  {
    Model model;
    Values y(kBatch);
    first = model.predict(forward);
    expected.predictions.insert(first);
    for (int i = 0; i < kSteps; ++i) {
      model.step(step, y);
      expected.predictions.insert(model.predict(forward));
    }
    expected.weights = model.w;
  }
  Model shared, own;
  std::vector<std::thread> threads;
  const auto repeat = [&](auto body) {
    threads.emplace_back([body, end]() mutable {
      while (std::chrono::steady_clock::now() < end) body();
    });
  };
  repeat([&] { train(shared, step, expected); });
  repeat([&] { train(own, step, expected); });
  for (int i = 0; i < 3; ++i) repeat([&] { predict(shared, forward, expected); });
  repeat([&] { stop(forward, first); });
  repeat([&, n = 0]() mutable {
    set_num_threads(1 + n++ % 5);
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  });
  for (std::thread& thread : threads) thread.join();
  std::printf("%s: %ld trainings, %ld predictions, %ld stops, %ld wrong\n", active_kernels().isa, g_trainings.load(),
              g_predictions.load(), g_stops.load(), g_wrong.load());
  return g_wrong != 0 || g_trainings == 0 || g_predictions == 0 || g_stops == 0;
}
