// The default floating-point mode for a scope: round to nearest even, gradual underflow, exceptions masked. The
// caller's mode comes back at the end. Someone else's library may have set flush-to-zero or a rounding mode on this
// thread, and worker threads inherit whatever was set when they were created.
#pragma once

#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace chainrule {

class DefaultFpMode {
 public:
  DefaultFpMode() : saved_(read()) {
    if ((saved_ & kControl) != kDefault) write(kDefault);
  }
  ~DefaultFpMode() {
    if ((saved_ & kControl) != kDefault) write(saved_);
  }
  DefaultFpMode(const DefaultFpMode&) = delete;
  DefaultFpMode& operator=(const DefaultFpMode&) = delete;

 private:
#if defined(__x86_64__)
  using Register = uint32_t;
  static constexpr Register kControl = 0xffc0;  // all but the six sticky flags
  static constexpr Register kDefault = 0x1f80;
  static Register read() { return _mm_getcsr(); }
  static void write(Register value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  using Register = uint64_t;
  static constexpr Register kControl = 0x07ff9f07;  // AHP DN FZ RMode Stride FZ16 Len, traps, FIZ AH NEP
  static constexpr Register kDefault = 0;
  static Register read() {
    Register value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(Register value) { asm volatile("msr fpcr, %0" ::"r"(value)); }
#else
#error "chainrule supports x86-64 and AArch64"
#endif
  Register saved_;
};

}  // namespace chainrule
