#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <thread>

#include "base/duration.h"
#include "launcher/adapters/host.h"
#include "launcher/home.h"
#include "launcher/progress.h"
#include "launcher/settings.h"
#include "launcher/user_kubeconfig.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;
using std::chrono::milliseconds;

TEST_CASE("durations are read as Go writes them") {
  CHECK(parse_duration("0").value() == milliseconds(0));
  CHECK(parse_duration("60s").value() == milliseconds(60'000));
  CHECK(parse_duration("1m30s").value() == milliseconds(90'000));
  CHECK(parse_duration("1.5h").value() == milliseconds(5'400'000));
  CHECK(parse_duration("250ms").value() == milliseconds(250));
  for (const char* bad : {"", "60", "s", "-1s", "1d", "1s ", "99999999h", "1e9s", "nan", "infs"}) {
    INFO(bad);
    CHECK(parse_duration(bad).error().is("BadRequest"));
  }
}

TEST_CASE("the home is found by flag, variable and the base directory specification") {
  std::map<std::string, std::string> variables{{"HOME", "/home/u"}};
  const auto find = [&](const std::string& flag) {
    return find_home(flag,
                     [&](const char* name) {
                       const auto found = variables.find(name);
                       return found == variables.end() ? std::nullopt : std::optional(found->second);
                     })
        .root.string();
  };
  CHECK(find("") == "/home/u/.local/share/rusternetes");
  variables["XDG_DATA_HOME"] = "relative";
  CHECK(find("") == "/home/u/.local/share/rusternetes");
  variables["XDG_DATA_HOME"] = "/xdg";
  CHECK(find("") == "/xdg/rusternetes");
  variables["RUSTERNETES_HOME"] = "/own/";
  CHECK(find("") == "/own");
  CHECK(find("/flag/../other") == "/other");
}

TEST_CASE("settings survive the way through JSON") {
  ClusterSettings settings{.name = "a",
                           .node_network = "host",
                           .node_name = "n",
                           .key_algorithm = "rsa",
                           .engine = {.kind = "podman", .socket = "/s", .version = "4", .is_private = true},
                           .api_port = 7443,
                           .pod_cidrs = {"10.0.0.0/16", "fd00::/56"},
                           .service_cidrs = {"10.1.0.0/16"},
                           .node_links = {"10.2.0.0/28"},
                           .host_addresses = {"10.2.0.1"},
                           .node_addresses = {"10.2.0.2"},
                           .has_network_policy = false,
                           .user_kubeconfig = "/k",
                           .created_at_ms = 12};
  CHECK(to_json(settings_from_json(to_json(settings)).value()) == to_json(settings));
  CHECK_FALSE(settings_from_json(to_json(settings))->has_network_policy);
  CHECK(settings_from_json("[]").error().is("StateDamaged"));
  CHECK(settings_from_json("{").error().is("StateDamaged"));
}

TEST_CASE("progress is one plain line a step, and on a terminal a line that is replaced") {
  std::ostringstream plain, terminal;
  ManualClock clock;
  Progress one(plain, false, clock);
  one.begin("Make it");
  clock.advance(milliseconds(12));
  one.done();
  one.begin("Break it");
  one.failed();
  CHECK(plain.str() == "Make it: done (12 ms)\nBreak it: failed (0 ms)\n");
  Progress two(terminal, true, clock);
  two.begin("Make it");
  CHECK(terminal.str() == " • Make it ...");
  two.note("By the way.");
  CHECK(terminal.str() == " • Make it ...\r\x1b[KBy the way.\n • Make it ...");
  two.done();
  CHECK(terminal.str().ends_with("\r\x1b[K ✓ Make it (0 ms)\n"));
}

TEST_CASE("mounts are taken off the last first, and only those of the folder") {
  const std::string text =
      "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
      "2 1 8:1 /h/a/kubelet /h/a/kubelet rw shared:1 - ext4 /dev/sda1 rw\n"
      "3 2 0:5 / /h/a/kubelet/pods/x\\040y rw - tmpfs tmpfs rw\n"
      "4 1 0:6 / /h/ab rw - tmpfs tmpfs rw\n";
  CHECK(mounts_below(text, "/h/a") == std::vector<std::string>{"/h/a/kubelet/pods/x y", "/h/a/kubelet"});
  CHECK(mounts_below(text, "/h/c").empty());
}

TEST_CASE("a port is free until somebody listens on it") {
  LinuxHost host;
  CHECK_FALSE(host.is_port_free("not an address", 1));
  CHECK(host.is_port_free("127.0.0.1", 0));
}

namespace {

constexpr const char* addition =
    "apiVersion: v1\nkind: Config\nclusters:\n- name: r-a\n  cluster: {server: 'https://127.0.0.1:6443'}\n"
    "users:\n- name: r-a\n  user: {client-key-data: a2V5}\ncontexts:\n- name: r-a\n  context: {cluster: r-a, "
    "user: r-a}\n"
    "current-context: r-a\n";

constexpr const char* theirs =
    "apiVersion: v1\nkind: Config\npreferences: {colors: true}\nclusters:\n- name: prod\n  cluster:\n"
    "    server: https://prod\n    extensions:\n    - name: x\n      extension: {n: \"123\"}\n"
    "users:\n- name: me\n  user:\n    token: \"123456\"\n    exec: {args: ['true', \"no\", plain], env: "
    "null}\n"
    "contexts:\n- name: prod\n  context: {cluster: prod, user: me, namespace: '007'}\ncurrent-context: "
    "prod\n";

}  // namespace

TEST_CASE("a merge keeps what is there, replaces what is ours, and makes it current") {
  const std::string merged = merge_kubeconfig(theirs, addition).value();
  const YAML::Node root = YAML::Load(merged);
  CHECK(root["current-context"].Scalar() == "r-a");
  REQUIRE(root["clusters"].size() == 2);
  CHECK(root["clusters"][0]["cluster"]["server"].Scalar() == "https://prod");
  CHECK(root["preferences"]["colors"].Scalar() == "true");
  // What was text stays text for a reader that tells types apart.
  CHECK(root["users"][0]["user"]["token"].Tag() == "!");
  CHECK(root["users"][0]["user"]["exec"]["args"][0].Tag() == "!");
  CHECK(root["contexts"][0]["context"]["namespace"].Tag() == "!");
  CHECK(root["preferences"]["colors"].Tag() == "?");
  CHECK(root["users"][0]["user"]["exec"]["env"].IsNull());
  CHECK(merge_kubeconfig(merged, addition).value() == merged);
  std::string changed = addition;
  changed.replace(changed.find("6443"), 4, "7443");
  const YAML::Node again = YAML::Load(merge_kubeconfig(merged, changed).value());
  REQUIRE(again["clusters"].size() == 2);
  CHECK(again["clusters"][1]["cluster"]["server"].Scalar() == "https://127.0.0.1:7443");
}

TEST_CASE("a removal takes exactly ours out") {
  const std::string merged = merge_kubeconfig(theirs, addition).value();
  const YAML::Node root = YAML::Load(remove_from_kubeconfig(merged, "r-a").value());
  CHECK(root["clusters"].size() == 1);
  CHECK(root["users"].size() == 1);
  CHECK(root["contexts"].size() == 1);
  CHECK(root["current-context"].Scalar().empty());
  CHECK(root["users"][0]["user"]["token"].Scalar() == "123456");
  // Their current context stays theirs.
  CHECK(YAML::Load(remove_from_kubeconfig(theirs, "r-a").value())["current-context"].Scalar() == "prod");
  // A context of the user's own that stands on our cluster keeps it.
  std::string shared = merge_kubeconfig("", addition).value();
  shared.insert(shared.find("contexts:\n") + 10, "  - name: mine\n    context: {cluster: r-a, user: r-a}\n");
  const YAML::Node kept = YAML::Load(remove_from_kubeconfig(shared, "r-a").value());
  CHECK(kept["clusters"].size() == 1);
  CHECK(kept["contexts"].size() == 1);
  CHECK(remove_from_kubeconfig(merge_kubeconfig("", addition).value(), "r-a").value().empty());
  CHECK(remove_from_kubeconfig("", "r-a").value().empty());
}

TEST_CASE("what is no kubeconfig is refused and left as it is") {
  for (const char* bad : {"[1, 2]", "just text", "clusters: 7", "a: [", "{a: b"}) {
    CHECK(merge_kubeconfig(bad, addition).error().is("KubeconfigBroken"));
    CHECK(remove_from_kubeconfig(bad, "r-a").error().is("KubeconfigBroken"));
  }
  TemporaryFolder folder;
  std::ofstream(folder.path / "config") << "clusters: 7";
  std::ofstream(folder.path / "addition") << addition;
  const auto result = merge_kubeconfig_file(folder.path / "config", folder.path / "addition");
  CHECK(result.error().is("KubeconfigBroken"));
  CHECK(result.error().message.find("config") != std::string::npos);
  CHECK(certs::read_text(folder.path / "config").value() == "clusters: 7");
  CHECK_FALSE(fs::exists(folder.path / "config.lock"));
}

TEST_CASE("the user's file keeps owner and link; a new one is private") {
  TemporaryFolder folder;
  std::ofstream(folder.path / "addition") << addition;
  const fs::path made = folder.path / "kube" / "config";
  REQUIRE(merge_kubeconfig_file(made, folder.path / "addition").has_value());
  struct stat info {};
  REQUIRE(::stat(made.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const fs::path real = folder.path / "dotfiles";
  std::ofstream(real) << theirs;
  REQUIRE(::chmod(real.c_str(), 0640) == 0);
  const bool is_root = ::geteuid() == 0;
  if (is_root) REQUIRE(::chown(real.c_str(), 12345, 23456) == 0);
  fs::create_symlink(real, folder.path / "link");
  REQUIRE(merge_kubeconfig_file(folder.path / "link", folder.path / "addition").has_value());
  CHECK(fs::is_symlink(folder.path / "link"));
  REQUIRE(::stat(real.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  if (is_root) CHECK((info.st_uid == 12345 && info.st_gid == 23456));
}

TEST_CASE("others cannot read a file once a private key is merged into it, and the user is told so once") {
  TemporaryFolder folder;
  const fs::path file = folder.path / "config";
  const auto mode = [&] {
    struct stat info {};
    REQUIRE(::stat(file.c_str(), &info) == 0);
    return info.st_mode & 0777;
  };
  std::ofstream(folder.path / "addition") << addition;
  std::ofstream(file) << "apiVersion: v1\nkind: Config\nclusters: []\n";
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  const std::string told = merge_kubeconfig_file(file, folder.path / "addition").value();
  CHECK(mode() == 0600);
  CHECK(told == "The mode of " + file.string() + " was 0644 and is 0600 now, since it holds a private key.");
  CHECK(merge_kubeconfig_file(file, folder.path / "addition").value().empty());
  // Opened again by somebody, with the same text in it.
  REQUIRE(::chmod(file.c_str(), 0660) == 0);
  CHECK_FALSE(merge_kubeconfig_file(file, folder.path / "addition").value().empty());
  CHECK(mode() == 0600);
  // Without a secret the mode is the user's business, and so is that of a file we only take something out of.
  std::ofstream(folder.path / "addition") << "contexts:\n- name: c\n  context: {cluster: c, user: c}\n";
  std::ofstream(file) << "users:\n- name: me\n  user: {client-key: /home/me/key}\n";
  REQUIRE(::chmod(file.c_str(), 0640) == 0);
  CHECK(merge_kubeconfig_file(file, folder.path / "addition").value().empty());
  CHECK(mode() == 0640);
  std::ofstream(file) << merge_kubeconfig(theirs, addition).value();
  REQUIRE(remove_from_kubeconfig_file(file, "r-a").has_value());
  CHECK(mode() == 0640);
  for (const char* secret : {"client-key-data", "token", "password"})
    CHECK(has_secrets("users:\n- {name: a}\n- name: b\n  user: {" + std::string(secret) + ": x}\n"));
  CHECK_FALSE(has_secrets("users: null"));
}

TEST_CASE("the kubeconfig's lock is respected, and taken over from a process of ours that is gone") {
  TemporaryFolder folder;
  const fs::path file = folder.path / "config";
  const fs::path lock = folder.path / "config.lock";
  std::ofstream(folder.path / "addition") << addition;
  SECTION("another program gives it up") {
    std::ofstream(lock) << "";
    std::thread other([&] {
      // Once the waiter has had time to look; were it not, the test would pass all the same.
      std::this_thread::yield();
      fs::remove(lock);
    });
    CHECK(merge_kubeconfig_file(file, folder.path / "addition").has_value());
    other.join();
  }
  SECTION("ours, left by a killed process") {
    std::ofstream(lock) << "rusternetes-ctl 999999999";
    CHECK(merge_kubeconfig_file(file, folder.path / "addition").has_value());
    CHECK_FALSE(fs::exists(lock));
  }
  SECTION("ours, of processes that are killed at any time") {
    for (int i = 0; i < 200; ++i) {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      for (; child == 0;) {
        (void)merge_kubeconfig_file(file, folder.path / "addition");
        (void)remove_from_kubeconfig_file(file, "r-a");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(500 + 37 * i % 1000));
      ::kill(child, SIGKILL);
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      REQUIRE(merge_kubeconfig_file(file, folder.path / "addition").has_value());
      REQUIRE_FALSE(fs::exists(lock));
    }
  }
  SECTION("another program keeps it") {
    std::ofstream(lock) << "";
    CHECK(merge_kubeconfig_file(file, folder.path / "addition").error().is("KubeconfigLocked"));
    CHECK(fs::exists(lock));
    CHECK_FALSE(fs::exists(file));
  }
}
