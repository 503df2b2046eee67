// pause: waits for TERM or INT and reaps meanwhile. As process 1 of a PID namespace it would never see a
// signal that it neither handles nor blocks, so it blocks them and asks for each. There is no C library here:
// every Pod holds a copy.

#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/wait.h>

namespace {

#if defined(__x86_64__)
asm(R"(
.globl _start
.type _start, @function
_start:
  xor %ebp, %ebp
  mov %rsp, %rdi
  and $-16, %rsp
  call pause_main
  ud2
)");

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
asm(R"(
.globl _start
.type _start, %function
_start:
  mov x29, #0
  mov x30, #0
  mov x0, sp
  bl pause_main
  brk #1
)");

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#else
#error "pause knows x86_64 and aarch64"
#endif

template <class T>
long address(T* p) {
  return reinterpret_cast<long>(p);
}

[[noreturn]] void leave(int code) {
  for (;;) call(__NR_exit_group, code);
}

bool equal(const char* a, const char* b) {
  while (*a && *a == *b) ++a, ++b;
  return *a == *b;
}

void say(const char* text) {
  long length = 0;
  while (text[length]) ++length;
  call(__NR_write, 2, address(text), length);
}

[[noreturn]] void fail(const char* what, const char* object, long error) {
  char digits[8] = {};
  char* p = digits + sizeof digits - 1;
  for (unsigned n = static_cast<unsigned>(-error); p == digits + sizeof digits - 1 || n; n /= 10)
    *--p = '0' + n % 10;
  say("pause: ");
  say(what);
  say(object);
  say(": errno ");
  say(p);
  say("\n");
  leave(1);
}

// Namespaces are joined while the capabilities still allow it; afterwards this process can do nothing to
// them.
void join_network_namespace(const char* path) {
  const long fd = call(__NR_openat, AT_FDCWD, address(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail("cannot open network namespace ", path, fd);
  const long joined = call(__NR_setns, fd, CLONE_NEWNET);
  if (joined < 0) fail("cannot enter network namespace ", path, joined);
  call(__NR_close, fd);
}

void drop_capabilities() {
  // Without CAP_SETPCAP the bounding set cannot shrink, but with no_new_privs nothing can be regained through
  // it.
  for (long capability = 0; call(__NR_prctl, PR_CAPBSET_DROP, capability) == 0;) ++capability;
  const long sealed = call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (sealed < 0) fail("cannot set ", "no_new_privs", sealed);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
  for (auto& word : none) word.effective = word.permitted = word.inheritable = 0;
  const long dropped = call(__NR_capset, address(&header), address(none));
  if (dropped < 0) fail("cannot drop ", "capabilities", dropped);
}

}  // namespace

extern "C" [[noreturn]] void pause_main(const long* stack) {
  const long argc = stack[0];
  const auto* argv = reinterpret_cast<const char* const*>(stack + 1);
  const unsigned long signals = 1UL << (SIGINT - 1) | 1UL << (SIGTERM - 1) | 1UL << (SIGCHLD - 1);
  call(__NR_rt_sigprocmask, SIG_BLOCK, address(&signals), 0, sizeof signals);
  if (argc == 3 && equal(argv[1], "netns")) {
    join_network_namespace(argv[2]);
    drop_capabilities();
  } else if (argc > 1) {
    fail("unknown arguments; usage: pause [netns PATH]", "", -EINVAL);
  }
  for (;;) {
    const long signal = call(__NR_rt_sigtimedwait, address(&signals), 0, 0, sizeof signals);
    if (signal == SIGINT || signal == SIGTERM) leave(0);
    while (call(__NR_wait4, -1, 0, WNOHANG, 0) > 0) {
    }
  }
}
