/* Counts executed instructions by encoding: a child process is single-stepped through kernels (Linux, x86-64). */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int (*MatmulFn)(int is_f64, int64_t m, int64_t n, int64_t k, const void *a, int64_t rs_a, int64_t cs_a,
                        const void *b, int64_t rs_b, int64_t cs_b, void *c, int64_t rs_c);
typedef int (*UnaryFn)(const char *name, int is_f64, int64_t n, const void *in, void *out);

enum { M = 2, N = 19, K = 3 };
enum { LEGACY, VEX, EVEX };

static void work(MatmulFn matmul, UnaryFn unary) {
  static float a[M * K], b[K * N], c[M * N];
  for (int i = 0; i < M * K; i++) a[i] = 0.37f * (float)(i % 11) - 1.5f;
  for (int i = 0; i < K * N; i++) b[i] = 0.21f * (float)(i % 13) - 1.1f;
  int status = matmul(0, M, N, K, a, K, 1, b, N, 1, c, N);
  status |= unary("exp", 0, N, c, c) | unary("relu", 0, M * N, c, c);
  _exit(status);
}

/* In 64-bit mode a first byte of 0xc4 or 0xc5 is always a VEX prefix, 0x62 always an EVEX prefix. */
static int encoding(long word) {
  switch (word & 0xff) {
    case 0xc4:
    case 0xc5: return VEX;
    case 0x62: return EVEX;
    default: return LEGACY;
  }
}

/* counts[encoding] of the instructions executed at addresses low .. high. Returns 0, or -1 if tracing is impossible. */
int trace_kernels(MatmulFn matmul, UnaryFn unary, uint64_t low, uint64_t high, int64_t *counts) {
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(77);
    raise(SIGSTOP);
    work(matmul, unary);
  }
  int status;
  for (;;) {
    if (waitpid(child, &status, 0) != child) return -1;
    if (!WIFSTOPPED(status)) break;
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, child, 0, &registers) != 0) break;
    if (registers.rip >= low && registers.rip < high)
      counts[encoding(ptrace(PTRACE_PEEKTEXT, child, (void *)registers.rip, 0))]++;
    if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) != 0) break;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}
