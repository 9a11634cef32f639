// A bound program as the fast call and the predictor use it.
#pragma once

#include <vector>

#include "bind/arrays.h"
#include "bind/step_locks.h"

namespace chainrule {

struct ArraySpec {
  Dtype dtype;
  std::vector<py::ssize_t> shape;
};

class Runnable {
 public:
  virtual ~Runnable() = default;
  virtual const std::vector<ArraySpec>& inputs() const = 0;
  virtual const std::vector<ArraySpec>& outputs() const = 0;
  virtual const std::vector<void*>& bound_addresses() const = 0;
  virtual const char* isa() const = 0;
  virtual double work() const = 0;
  // Runs on the addresses of inputs, outputs and bound arrays; raises the error of a failed check. The GIL is held, and
  // released where the program takes long.
  virtual void execute(void* const* addresses) const = 0;
  // The same without the GIL and without taking the locks; false where a check fails. Throws Stopped as Program::run.
  virtual bool execute_quietly(void* const* addresses) const = 0;
  // Of the bound arrays.
  virtual const StepLocks& locks() const = 0;
};
const Runnable& runnable(py::handle program);

}  // namespace chainrule
