// Replacing authorities: each step alone, in a wrong order, and cut off at every change it makes to a file.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <functional>

#include "certs/file.h"
#include "certs/key.h"
#include "certs/rotation.h"
#include "support.h"

using namespace rusternetes;
using namespace rusternetes::certs;

namespace {

PkiOptions small_options() {
  PkiOptions options;
  options.nodes = {{"node-1", {"10.213.0.11"}}};
  options.api_servers = {{"1", {"10.213.0.21"}}};
  options.etcd_members = {{"1", {"10.213.0.31"}}};
  return options;
}

struct Cluster {
  TemporaryFolder folder;
  fs::path dir = folder.path / "pki";
  Cluster() { REQUIRE(ensure_cluster_pki(dir, small_options(), now).has_value()); }
  explicit Cluster(const Cluster& other) { fs::copy(other.dir, dir, fs::copy_options::recursive); }

  RotationPhase phase(std::string_view subject) const { return rotation_phase(dir, subject).value(); }
  std::vector<std::string> list(std::string_view subject) const {
    return pem_blocks(read_text(dir / (subject == "sa" ? "sa.pub" : std::string(subject) + ".crt")).value());
  }
  std::string key(std::string_view subject) const {
    return read_text(dir / (std::string(subject) + ".key")).value();
  }
  bool has_next_key(std::string_view subject) const {
    return fs::exists(dir / (std::string(subject) + "-next.key"));
  }
  Result<> one(std::string_view subject) const { return trust_new(dir, small_options(), subject, now); }
  Result<> two(std::string_view subject) const { return sign_with_new(dir, small_options(), subject, now); }
  Result<> three(std::string_view subject) const { return drop_old(dir, small_options(), subject); }

  // Every leaf of the authority, as a peer checks it that trusts `authorities`.
  bool all_verify(std::string_view subject, const std::string& authorities) const {
    for (const PkiLeaf& leaf : cluster_leaves(small_options()).value()) {
      if (leaf.authority != subject) continue;
      const int purpose = leaf.request.is_server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
      if (chain_error({authorities, ""}, read_pair(dir, leaf.file).value(), purpose, nullptr, nullptr, now) !=
          X509_V_OK)
        return false;
    }
    return true;
  }
};

std::string together(const std::vector<std::string>& blocks) {
  std::string out;
  for (const std::string& block : blocks) out += block;
  return out;
}

// Runs `step` in a child that is killed as it is about to rename or remove its n-th file; false when it came
// to its end before.
bool is_killed_at_change(int n, const std::function<Result<>()>& step) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::_exit(step() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSTOPPED(status));
  REQUIRE(::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
  int changes = 0;
  while (true) {
    REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0);
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) {
      REQUIRE(WEXITSTATUS(status) == 0);
      return false;
    }
    REQUIRE(WIFSTOPPED(status));
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) <= 0) continue;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
    bool is_change =
        info.entry.nr == SYS_unlinkat || info.entry.nr == SYS_renameat2 || info.entry.nr == SYS_renameat;
#ifdef SYS_rename
    is_change = is_change || info.entry.nr == SYS_rename || info.entry.nr == SYS_unlink;
#endif
    if (!is_change || ++changes < n) continue;
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    return true;
  }
}

}  // namespace

TEST_CASE("an authority is replaced in three steps, and every leaf is trusted at every one") {
  for (const std::string subject : {"ca", "etcd/ca", "front-proxy-ca"}) {
    INFO(subject);
    const Cluster cluster;
    const auto old = cluster.list(subject);
    const std::string old_key = cluster.key(subject);
    REQUIRE(old.size() == 1);
    CHECK(cluster.phase(subject) == RotationPhase::none);

    REQUIRE(cluster.one(subject).has_value());
    CHECK(cluster.phase(subject) == RotationPhase::both_trusted);
    const auto both = cluster.list(subject);
    REQUIRE(both.size() == 2);
    CHECK(both[0] == old[0]);
    CHECK(cluster.key(subject) == old_key);
    CHECK(mode_of(cluster.dir / (subject + "-next.key")) == 0600);
    CHECK(cluster.all_verify(subject, old[0]));
    // What is issued in between is of the old one: those who have not read the new list yet trust it.
    CHECK(ensure_cluster_pki(cluster.dir, small_options(), now).value().empty());
    for (const PkiLeaf& leaf : cluster_leaves(small_options()).value())
      REQUIRE(rotate_leaf(cluster.dir, small_options(), leaf.file, now).has_value());
    CHECK(cluster.all_verify(subject, old[0]));
    REQUIRE(cluster.one(subject).has_value());  // again: nothing
    CHECK(cluster.list(subject) == both);

    REQUIRE(cluster.two(subject).has_value());
    CHECK(cluster.phase(subject) == RotationPhase::new_signs);
    CHECK(cluster.list(subject) == std::vector<std::string>{both[1], both[0]});
    CHECK(cluster.key(subject) != old_key);
    CHECK(mode_of(cluster.dir / (subject + ".key")) == 0600);
    CHECK_FALSE(cluster.has_next_key(subject));
    CHECK(cluster.all_verify(subject, both[1]));
    CHECK_FALSE(cluster.all_verify(subject, old[0]));
    CHECK(key_matches(read_pair(cluster.dir, subject).value()).value());
    CHECK(ensure_cluster_pki(cluster.dir, small_options(), now).value().empty());
    const KeyPair admin = read_pair(cluster.dir, "admin").value();
    REQUIRE(cluster.two(subject).has_value());  // again: no leaf is issued once more
    CHECK(read_pair(cluster.dir, "admin").value().key_pem == admin.key_pem);

    REQUIRE(cluster.three(subject).has_value());
    CHECK(cluster.phase(subject) == RotationPhase::none);
    CHECK(cluster.list(subject) == std::vector<std::string>{both[1]});
    REQUIRE(cluster.three(subject).has_value());
    CHECK(ensure_cluster_pki(cluster.dir, small_options(), now).value().empty());
    CHECK(inspect(both[1]).value().common_name == inspect(old[0]).value().common_name);

    REQUIRE(cluster.one(subject).has_value());  // and it can be done again
    CHECK(cluster.list(subject)[0] == both[1]);
  }
}

TEST_CASE("who trusts the old authority alone trusts the servers until step three, and no longer") {
  for (const std::string subject : {"ca", "etcd/ca"}) {
    INFO(subject);
    const Cluster cluster;
    const fs::path cross = cluster.dir / (subject + "-cross.pem");
    const std::string old = together(cluster.list(subject));
    const std::string server = subject == "ca" ? "apiserver-1" : "etcd/server-1";
    const auto is_trusted = [&](const std::string& authorities) {
      return chain_error({authorities, ""}, read_pair(cluster.dir, server).value(), X509_PURPOSE_SSL_SERVER, nullptr,
                         subject == "ca" ? "10.213.0.21" : "10.213.0.31", now) == X509_V_OK;
    };
    REQUIRE(cluster.one(subject).has_value());
    CHECK(fs::exists(cross));
    REQUIRE(rotate_leaf(cluster.dir, small_options(), server, now).has_value());
    CHECK(pem_blocks(read_pair(cluster.dir, server).value().certificate_pem).size() == 1);  // the old one signs
    REQUIRE(cluster.two(subject).has_value());
    const std::string fresh = cluster.list(subject)[0];
    CHECK(is_trusted(old));
    CHECK(is_trusted(fresh));
    // However the leaf comes to be, and only with servers.
    REQUIRE(rotate_leaf(cluster.dir, small_options(), server, now).has_value());
    CHECK(is_trusted(old));
    REQUIRE(fs::remove(cluster.dir / (server + ".crt")));
    REQUIRE(ensure_cluster_pki(cluster.dir, small_options(), now).has_value());
    CHECK(is_trusted(old));
    CHECK(pem_blocks(read_pair(cluster.dir, "admin").value().certificate_pem).size() == 1);
    const auto told = expiries(cluster.dir).value();
    CHECK(std::count_if(told.begin(), told.end(),
                        [&](const Expiry& each) { return each.file == server + ".crt"; }) == 1);
    const std::string key = cluster.key(server);
    REQUIRE(cluster.three(subject).has_value());
    CHECK_FALSE(is_trusted(old));
    CHECK(is_trusted(fresh));
    CHECK_FALSE(fs::exists(cross));
    CHECK(cluster.key(server) == key);
    CHECK(pem_blocks(read_pair(cluster.dir, server).value().certificate_pem).size() == 1);
  }
}

TEST_CASE("an authority that has expired vouches for nobody") {
  const Cluster cluster;
  const auto later = now + authority_validity + std::chrono::hours(1);
  REQUIRE(trust_new(cluster.dir, small_options(), "ca", later).has_value());
  CHECK_FALSE(fs::exists(cluster.dir / "ca-cross.pem"));
  REQUIRE(sign_with_new(cluster.dir, small_options(), "ca", later).has_value());
  REQUIRE(cluster.three("ca").has_value());
}

TEST_CASE("only the leaves of the authority that is replaced are issued anew") {
  const Cluster cluster;
  const KeyPair admin = read_pair(cluster.dir, "admin").value();
  const KeyPair peer = read_pair(cluster.dir, "etcd/peer-1").value();
  REQUIRE(cluster.one("etcd/ca").has_value());
  REQUIRE(cluster.two("etcd/ca").has_value());
  CHECK(read_pair(cluster.dir, "admin").value().key_pem == admin.key_pem);
  CHECK(read_pair(cluster.dir, "etcd/peer-1").value().key_pem != peer.key_pem);
  CHECK(cluster.phase("ca") == RotationPhase::none);
}

TEST_CASE("the key of service account tokens is replaced by the same steps") {
  const Cluster cluster;
  const std::string old_key = cluster.key("sa");
  const auto old = cluster.list("sa");
  REQUIRE(cluster.one("sa").has_value());
  CHECK(cluster.key("sa") == old_key);
  const auto both = cluster.list("sa");
  REQUIRE(both.size() == 2);
  CHECK(both[0] == old[0]);
  CHECK(mode_of(cluster.dir / "sa-next.key") == 0600);
  CHECK(ensure_cluster_pki(cluster.dir, small_options(), now).value().empty());
  REQUIRE(cluster.two("sa").has_value());
  CHECK(public_key_of(cluster.key("sa")).value() == both[1]);
  CHECK(cluster.list("sa") == std::vector<std::string>{both[1], both[0]});
  CHECK(mode_of(cluster.dir / "sa.key") == 0600);
  REQUIRE(cluster.three("sa").has_value());
  CHECK(cluster.list("sa") == std::vector<std::string>{both[1]});
  CHECK_FALSE(cluster.has_next_key("sa"));
  CHECK(ensure_cluster_pki(cluster.dir, small_options(), now).value().empty());
}

TEST_CASE("steps out of their order are refused and change nothing") {
  for (const std::string subject : {"ca", "sa"}) {
    const Cluster cluster;
    const auto old = cluster.list(subject);
    CHECK(cluster.two(subject).error().is("Conflict"));
    REQUIRE(cluster.three(subject).has_value());  // nothing to drop
    CHECK(cluster.list(subject) == old);
    REQUIRE(cluster.one(subject).has_value());
    const auto both = cluster.list(subject);
    CHECK(cluster.three(subject).error().is("Conflict"));
    CHECK(cluster.list(subject) == both);
    REQUIRE(cluster.two(subject).has_value());
    CHECK(cluster.one(subject).error().is("Conflict"));
    CHECK(forget_new(cluster.dir, subject).error().is("Conflict"));
    CHECK(cluster.list(subject) == std::vector<std::string>{both[1], both[0]});
  }
  const Cluster cluster;
  CHECK(cluster.one("admin").error().is("NotFound"));
  CHECK(rotation_phase(cluster.dir, "../ca").error().is("NotFound"));
  fs::remove_all(cluster.dir / "etcd");
  CHECK(cluster.one("etcd/ca").error().is("NotFound"));
}

TEST_CASE("step one can be taken back") {
  for (const std::string subject : {"ca", "etcd/ca", "sa"}) {
    const Cluster cluster;
    const auto old = cluster.list(subject);
    REQUIRE(forget_new(cluster.dir, subject).has_value());
    REQUIRE(cluster.one(subject).has_value());
    REQUIRE(forget_new(cluster.dir, subject).has_value());
    CHECK(cluster.list(subject) == old);
    CHECK_FALSE(cluster.has_next_key(subject));
    CHECK(cluster.phase(subject) == RotationPhase::none);
  }
}

TEST_CASE("the old authority stays as long as a leaf is of it") {
  const Cluster cluster;
  const KeyPair old_leaf = read_pair(cluster.dir, "scheduler").value();
  REQUIRE(cluster.one("ca").has_value());
  REQUIRE(cluster.two("ca").has_value());
  REQUIRE(write_atomically(cluster.dir / "scheduler.key", old_leaf.key_pem, private_mode).has_value());
  REQUIRE(write_atomically(cluster.dir / "scheduler.crt", old_leaf.certificate_pem, public_mode).has_value());
  const auto refused = cluster.three("ca");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message.find("scheduler.crt") != std::string::npos);
  CHECK(cluster.list("ca").size() == 2);
  REQUIRE(cluster.two("ca").has_value());
  REQUIRE(cluster.three("ca").has_value());
}

TEST_CASE("each certificate of an authority that is replaced has its own expiry") {
  const Cluster cluster;
  const auto before = expiries(cluster.dir).value();
  REQUIRE(cluster.one("etcd/ca").has_value());
  const auto after = expiries(cluster.dir).value();
  CHECK(after.size() == before.size() + 1);
  CHECK(std::count_if(after.begin(), after.end(),
                      [](const Expiry& each) { return each.file == "etcd/ca.crt"; }) == 2);
}

TEST_CASE("what is damaged is named and nothing of it is overwritten") {
  const Cluster cluster;
  const std::string other = make_authority({.common_name = "kubernetes"}, now).value().certificate_pem;
  const std::string own = together(cluster.list("ca"));
  const auto is_refused = [&](const std::string& text) {
    REQUIRE(write_atomically(cluster.dir / "ca.crt", text, public_mode).has_value());
    const auto result = cluster.one("ca");
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().message.find("ca.crt") != std::string::npos);
    CHECK(read_text(cluster.dir / "ca.crt").value() == text);
  };
  is_refused("garbage");
  is_refused(other);
  is_refused(own + other + other);
}

TEST_CASE(
    "a step that is killed at any change is completed by the next one, and the folder is good between") {
  for (const std::string subject : {"ca", "etcd/ca", "sa"}) {
    Cluster before;
    for (int step = 1; step <= 3; ++step) {
      int n = 1;
      while (true) {
        INFO(subject << ", step " << step << ", killed at change " << n);
        REQUIRE(n < 100);
        const Cluster cluster(before);
        const std::function<Result<>()> run = [&] {
          return step == 1 ? cluster.one(subject) : step == 2 ? cluster.two(subject) : cluster.three(subject);
        };
        if (!is_killed_at_change(n, run)) break;
        ++n;
        // What starts from this folder: its own list trusts each of its leaves.
        if (subject == "sa")
          CHECK(together(cluster.list("sa")).find(public_key_of(cluster.key("sa")).value()) !=
                std::string::npos);
        const Cluster started(cluster);
        REQUIRE(ensure_cluster_pki(started.dir, small_options(), now).has_value());
        if (subject != "sa") {
          CHECK(started.all_verify(subject, together(started.list(subject))));
          CHECK(key_matches(read_pair(started.dir, subject).value()).value());
        }
        // Both as the kill left it and as ensure_cluster_pki has mended it.
        for (const Cluster* each : {&cluster, &started}) {
          REQUIRE((step == 1   ? each->one(subject)
                   : step == 2 ? each->two(subject)
                               : each->three(subject))
                      .has_value());
          if (step == 1) REQUIRE(each->two(subject).has_value());
          REQUIRE(each->three(subject).has_value());
          const auto list = each->list(subject);
          CHECK(list.size() == 1);
          CHECK_FALSE(each->has_next_key(subject));
          CHECK_FALSE(fs::exists(each->dir / (subject + "-cross.pem")));
          if (subject != "sa") CHECK(each->all_verify(subject, list[0]));
          CHECK(ensure_cluster_pki(each->dir, small_options(), now).value().empty());
        }
      }
      CHECK(n > 2);
      REQUIRE((step == 1   ? before.one(subject)
               : step == 2 ? before.two(subject)
                           : before.three(subject))
                  .has_value());
    }
  }
}

TEST_CASE("taking step one back, killed at any change, is done by the next try") {
  Cluster before;
  REQUIRE(before.one("ca").has_value());
  int n = 1;
  for (;; ++n) {
    INFO("killed at change " << n);
    REQUIRE(n < 20);
    const Cluster cluster(before);
    if (!is_killed_at_change(n, [&] { return forget_new(cluster.dir, "ca"); })) break;
    CHECK(cluster.all_verify("ca", together(cluster.list("ca"))));
    REQUIRE(forget_new(cluster.dir, "ca").has_value());
    CHECK(cluster.list("ca").size() == 1);
    CHECK_FALSE(cluster.has_next_key("ca"));
    CHECK_FALSE(fs::exists(cluster.dir / "ca-cross.pem"));
  }
  CHECK(n > 2);
}
