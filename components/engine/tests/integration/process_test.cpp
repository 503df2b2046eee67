#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "engine/container_log.h"
#include "engine/dialect.h"
#include "engine/host_facts.h"
#include "engine/std_stream.h"
#include "real_engine.h"

using namespace rusternetes;
using namespace rusternetes::engine;
using namespace rusternetes::engine::testing;

namespace {

Task<std::string> new_sandbox(RealEngine& real, std::string name) {
  auto id = co_await real.runtime->run_pod_sandbox(sandbox_config(std::move(name)));
  co_return must("sandbox", std::move(id));
}

// Runs a script to its end; what it printed.
Task<std::string> output_of(RealEngine& real, std::string sandbox, ContainerConfig config) {
  auto id = co_await run_container(real, std::move(sandbox), config);
  co_await wait_for_exit(real, id);
  co_return read_log(config.log_path);
}

Task<> exec_sync(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "exec");
  auto id = co_await run_container(real, sandbox, container_config(real, "app", "exec busybox sleep 1000"));
  auto done =
      must("exec", co_await real.runtime->exec_sync(id, {"/bin/sh", "-c", "echo out; echo err >&2; exit 9"},
                                                    std::chrono::seconds(10)));
  CHECK(done.stdout_bytes == "out\n");
  CHECK(done.stderr_bytes == "err\n");
  CHECK(done.exit_code == 9);
  auto big =
      must("exec", co_await real.runtime->exec_sync(
                       id, {"/bin/busybox", "head", "-c", "1000000", "/dev/zero"}, std::chrono::seconds(10)));
  CHECK(big.stdout_bytes.size() == 1'000'000);
  auto before = std::chrono::steady_clock::now();
  auto late =
      co_await real.runtime->exec_sync(id, {"/bin/busybox", "sleep", "777"}, std::chrono::milliseconds(500));
  REQUIRE_FALSE(late);
  CHECK(late.error().is("Timeout"));
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
  // Nothing of it runs on in the container.
  auto left = must("ps", co_await real.runtime->exec_sync(id, {"/bin/busybox", "ps", "-o", "args"},
                                                          std::chrono::seconds(10)));
  CHECK(left.stdout_bytes.find("sleep 1000") != std::string::npos);
  CHECK(left.stdout_bytes.find("sleep 777") == std::string::npos);
  must("stop", co_await real.runtime->stop_container(id, std::chrono::seconds(0)));
  auto refused = co_await real.runtime->exec_sync(id, {"/bin/busybox", "true"}, std::chrono::seconds(10));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is("Conflict"));
}

Task<std::string> read_until(http::ByteStream& stream, std::string wanted) {
  std::string text;
  while (text.find(wanted) == std::string::npos) {
    auto piece = co_await stream.read_some();
    auto bytes = must("read", std::move(piece));
    if (bytes.empty()) break;
    text += bytes;
  }
  co_return text;
}

Task<> exec_streams(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "tty");
  auto id = co_await run_container(real, sandbox, container_config(real, "app", "exec busybox sleep 1000"));
  ExecSpec pipe;
  pipe.command = {"/bin/busybox", "cat"};
  pipe.has_stdin = true;
  auto cat = must("exec", co_await real.runtime->exec(id, pipe));
  must("write", co_await cat->stream().write("through the pipe"));
  must("half-close", co_await cat->stream().shutdown_write());
  auto echoed = co_await read_until(cat->stream(), "never");
  CHECK(echoed.find("through the pipe") != std::string::npos);
  CHECK(must("code", co_await cat->exit_code()) == 0);

  ExecSpec terminal;
  terminal.command = {"/bin/sh"};
  terminal.has_stdin = terminal.has_tty = true;
  auto shell = must("exec", co_await real.runtime->exec(id, terminal));
  CHECK(shell->has_tty());
  must("write", co_await shell->stream().write("echo re''ady\n"));
  co_await read_until(shell->stream(), "ready");
  must("resize", co_await shell->resize(123, 45));
  must("write", co_await shell->stream().write("busybox stty size; exit 4\n"));
  auto answer = co_await read_until(shell->stream(), "45 123");
  CHECK(answer.find("45 123") != std::string::npos);
  co_await read_until(shell->stream(), "never");
  CHECK(must("code", co_await shell->exit_code()) == 4);

  ExecSpec silent;
  silent.command = {"/bin/sh", "-c", "exec >&- 2>&-; busybox sleep 5; exit 6"};
  auto late = must("exec", co_await real.runtime->exec(id, silent));
  co_await read_until(late->stream(), "never");
  CHECK(must("code", co_await late->exit_code()) == 6);

  ExecSpec endless;
  endless.command = {"/bin/busybox", "sleep", "888"};
  auto sleeping = must("exec", co_await real.runtime->exec(id, endless));
  must("kill", co_await sleeping->kill());
  co_await read_until(sleeping->stream(), "never");
  CHECK(must("code", co_await sleeping->exit_code()) == 137);
}

Task<> attach(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "attach");
  auto config = container_config(real, "app", "read line; echo got $line");
  config.has_stdin = config.is_stdin_once = true;
  auto id = co_await run_container(real, sandbox, config);
  auto session = must("attach", co_await real.runtime->attach(id, true));
  must("write", co_await session->stream().write("hello\n"));
  auto text = co_await read_until(session->stream(), "got hello");
  CHECK(text.find("got hello") != std::string::npos);
  CHECK(must("code", co_await session->exit_code()) == 0);
}

Task<> restricted(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "sec");
  auto config =
      container_config(real, "app",
                       "busybox id; busybox grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status; "
                       "busybox touch /x /tmp/x /run/x; ulimit -n; ulimit -u");
  config.security.user = "1000:1000";
  config.security.supplemental_groups = {2000};
  config.security.drop_capabilities = {"ALL"};
  config.security.has_read_only_rootfs = true;
  config.security.no_new_privileges = true;
  config.security.seccomp = SeccompKind::unconfined;
  auto log = co_await output_of(real, sandbox, config);
  INFO(log);
  CHECK(log.find("uid=1000") != std::string::npos);
  CHECK(log.find("gid=1000") != std::string::npos);
  CHECK(log.find("2000") != std::string::npos);
  CHECK(log.find("CapEff:\t0000000000000000") != std::string::npos);
  CHECK(log.find("CapBnd:\t0000000000000000") != std::string::npos);
  CHECK(log.find("NoNewPrivs:\t1") != std::string::npos);
  CHECK(log.find("Seccomp:\t0") != std::string::npos);
  CHECK(log.find("touch: /x: Read-only") != std::string::npos);
  CHECK(log.find("touch: /tmp/x: Read-only") != std::string::npos);
  CHECK(log.find(std::to_string(real.engine->dialect().host().nofile_hard)) != std::string::npos);

  // Changing a mode to 777 is refused with EPERM by this profile alone.
  std::ofstream(real.directory + "/seccomp.json")
      << R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmod"],"action":"SCMP_ACT_ERRNO"}]})";
  auto profiled = container_config(real, "profiled", "busybox chmod 777 /data || echo refused");
  profiled.security.seccomp = SeccompKind::localhost;
  profiled.security.seccomp_profile_path = real.directory + "/seccomp.json";
  auto answer = co_await output_of(real, sandbox, profiled);
  CHECK(answer.find("refused") != std::string::npos);

  auto added = container_config(real, "added", "busybox grep CapEff /proc/self/status");
  added.security.drop_capabilities = {"ALL"};
  added.security.add_capabilities = {"NET_ADMIN"};
  auto capabilities = co_await output_of(real, sandbox, added);
  CHECK(capabilities.find("CapEff:\t0000000000001000") != std::string::npos);
}

Task<> privileged(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "priv");
  auto config =
      container_config(real, "app",
                       "busybox grep CapEff /proc/self/status; busybox touch /dev/engine-test && echo dev; "

                       "busybox mount -t tmpfs none /data && echo mounted; busybox rm -f /dev/engine-test");
  config.security.is_privileged = true;
  auto log = co_await output_of(real, sandbox, config);
  INFO(log);
  char expected[64];
  auto held = real.engine->dialect().host().capabilities;
  // Docker 20.10 knows none of the three newest.
  if (!real.is_podman() && real.engine->info().version.starts_with("20.")) held &= (1ull << 38) - 1;
  std::snprintf(expected, sizeof(expected), "CapEff:\t%016llx", static_cast<unsigned long long>(held));
  CHECK(log.find(expected) != std::string::npos);
  CHECK(log.find("dev\n") != std::string::npos);
  CHECK(log.find("mounted\n") != std::string::npos);
}

Task<> mounts(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "mounts");
  auto folder = real.directory + "/volume:1";  // a colon is no separator
  std::filesystem::create_directories(folder + "/below");
  std::ofstream(real.directory + "/hosts") << "127.0.0.1 by-the-test\n";
  REQUIRE(::mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr) == 0);
  REQUIRE(::mount(nullptr, folder.c_str(), nullptr, MS_SHARED, nullptr) == 0);
  auto config =
      container_config(real, "app",
                       "busybox cat /etc/hosts; busybox touch /ro/x; echo written > /rw/file; echo up; "
                       "while [ ! -e /live/below/seen ]; do busybox sleep 0.05; done; echo propagated");
  config.mounts = {{real.directory + "/hosts", "/etc/hosts", true},
                   {folder, "/ro", true},
                   {folder, "/rw", false},
                   {folder, "/live", false, Propagation::host_to_container}};
  auto id = co_await run_container(real, sandbox, config);
  LogOptions follow;
  follow.follow = true;
  WorkerThread worker("log");
  ContainerLogStream log(must("log", ContainerLogReader::open(config.log_path, follow)), worker);
  std::string text;
  while (text.find("up\n") == std::string::npos) text += must("log", co_await log.next());
  CHECK(text.find("by-the-test") != std::string::npos);
  CHECK(text.find("touch: /ro/x: Read-only") != std::string::npos);
  CHECK(std::filesystem::exists(folder + "/file"));
  REQUIRE(::mount("tmpfs", (folder + "/below").c_str(), "tmpfs", 0, nullptr) == 0);
  std::ofstream(folder + "/below/seen") << "x";
  while (text.find("propagated\n") == std::string::npos) text += must("log", co_await log.next());
  co_await wait_for_exit(real, id);
  ::umount2((folder + "/below").c_str(), MNT_DETACH);
  ::umount2(folder.c_str(), MNT_DETACH);

  auto missing = container_config(real, "missing", "exit 0");
  missing.mounts = {{real.directory + "/nothing", "/x"}};
  auto refused = co_await real.runtime->create_container(sandbox, missing);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is("Invalid"));
  CHECK_FALSE(std::filesystem::exists(real.directory + "/nothing"));
}

std::string memory_limit_of(int pid) {
  auto cgroups = read_small_file("/proc/" + std::to_string(pid) + "/cgroup");
  auto at = cgroups.find(":memory:");
  if (at != std::string::npos) {
    auto path = cgroups.substr(at + 8, cgroups.find('\n', at) - at - 8);
    return read_small_file("/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes");
  }
  at = cgroups.find("0::");
  auto path = cgroups.substr(at + 3, cgroups.find('\n', at) - at - 3);
  return read_small_file("/sys/fs/cgroup" + path + "/memory.max");
}

Task<> resources(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "res");
  auto config = container_config(real, "app", "exec busybox sleep 1000");
  config.resources.memory_limit_bytes = 32 << 20;
  config.resources.cpu_shares = 512;
  config.resources.cpu_quota_us = 50'000;
  config.resources.cpu_period_us = 100'000;
  config.resources.oom_score_adj = 900;
  auto id = co_await run_container(real, sandbox, config);
  auto status = must("status", co_await real.runtime->container_status(id));
  REQUIRE(status.pid > 0);
  CHECK(memory_limit_of(status.pid) == "33554432\n");
  CHECK(read_small_file("/proc/" + std::to_string(status.pid) + "/oom_score_adj") == "900\n");
  auto cgroups = read_small_file("/proc/" + std::to_string(status.pid) + "/cgroup");
  CHECK(cgroups.find(real.runtime->pod_cgroup_path("/kubepods-test/podres") + "/") != std::string::npos);
  Resources more;
  more.memory_limit_bytes = 64 << 20;
  must("update", co_await real.runtime->update_container_resources(id, more));
  CHECK(memory_limit_of(status.pid) == "67108864\n");
}

Task<> shared_namespaces(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "shared");
  auto first = container_config(real, "first", "exec busybox sleep 1234");
  first.pid = PidMode::pod;
  co_await run_container(real, sandbox, first);
  auto second = container_config(real, "second",
                                 "busybox ps -o args; busybox ls -ld /dev/shm; "
                                 "busybox cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
  second.pid = PidMode::pod;
  auto seen = co_await output_of(real, sandbox, second);
  INFO(seen);
  CHECK(seen.find("sleep 1234") != std::string::npos);
  CHECK(seen.find("/pause") != std::string::npos);
  CHECK(seen.find("\n0\n") != std::string::npos);
  auto alone = container_config(real, "alone", "busybox ps -o args");
  auto own = co_await output_of(real, sandbox, alone);
  CHECK(own.find("sleep 1234") == std::string::npos);
}

// Long lines (split by both engines) and the two streams come out as they went in.
Task<> long_lines(RealEngine& real) {
  auto sandbox = co_await new_sandbox(real, "lines");
  auto config = container_config(
      real, "app", "busybox head -c 40000 /dev/zero | busybox tr '\\0' x; echo; echo two; echo three >&2");
  auto text = co_await output_of(real, sandbox, config);
  CHECK(text.size() == 40001 + 4 + 6);
  // Docker reads the streams side by side: the short line may stand between two pieces of the long one.
  LogOptions out, err, last;
  out.stream = LogStream::out;
  err.stream = LogStream::err;
  auto long_reader = must("log", ContainerLogReader::open(config.log_path, out));
  CHECK(must("read", long_reader->read()).bytes == std::string(40000, 'x') + "\ntwo\n");
  auto error_reader = must("log", ContainerLogReader::open(config.log_path, err));
  CHECK(must("read", error_reader->read()).bytes == "three\n");
  last.tail_lines = 1;
  last.stream = LogStream::out;
  auto reader = must("log", ContainerLogReader::open(config.log_path, last));
  CHECK(must("read", reader->read()).bytes == "two\n");
}

}  // namespace

TEST_CASE("exec_sync collects output and exit code, and kills at its deadline") { on_each_engine(exec_sync); }
TEST_CASE("exec carries a pipe, a terminal with its size, and a kill") { on_each_engine(exec_streams); }
TEST_CASE("attach reaches a container's standard input and output") { on_each_engine(attach); }
TEST_CASE("a restricted security context holds") { on_each_engine(restricted); }
TEST_CASE("a privileged container has what the host holds") { on_each_engine(privileged); }
TEST_CASE("mounts are read-only, live and propagated as asked, and a missing source is refused") {
  on_each_engine(mounts);
}
TEST_CASE("limits are in the Pod's cgroup and can be raised") { on_each_engine(resources); }
TEST_CASE("containers share the Pod's processes when asked") { on_each_engine(shared_namespaces); }
TEST_CASE("long lines and both streams are read whole") { on_each_engine(long_lines); }
