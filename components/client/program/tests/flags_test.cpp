#include "program/flags.h"

#include <catch2/catch.hpp>

#include <CLI/CLI.hpp>
#include <fstream>

using namespace rusternetes;
using namespace rusternetes::program;

namespace {

struct Line {
  CommonFlags flags;
  CLI::App app{"", "scheduler"};
  std::string complaint;
  explicit Line(std::vector<std::string> words) {
    flags.lease_name = "kube-scheduler";
    add_common_flags(app, flags);
    std::reverse(words.begin(), words.end());
    app.parse(words);
    complaint = explain_unknown(app, app.remaining(), {"authentication-kubeconfig"});
  }
};

}  // namespace

TEST_CASE(
    "an unknown flag is refused with the nearest name, a known one of the other program as not supported") {
  CHECK(Line({"--leader-elct=false"}).complaint ==
        "there is no flag --leader-elct; did you mean --leader-elect?");
  CHECK(Line({"--kubeconfg", "/a"}).complaint == "there is no flag --kubeconfg; did you mean --kubeconfig?");
  CHECK(
      Line({"--authentication-kubeconfig=/a"}).complaint ==
      "--authentication-kubeconfig is not supported: scheduler has no such feature yet; leave the flag out");
  CHECK(Line({"--completely-different"}).complaint ==
        "there is no flag --completely-different; --help lists them");
  CHECK(Line({"word"}).complaint == "unexpected argument \"word\"");
  CHECK(Line({"--kubeconfig", "/a", "--leader-elect", "--v=4"}).complaint.empty());
}

TEST_CASE("leader election is on unless it is turned off, with Kubernetes' durations") {
  Line usual({});
  CHECK(usual.flags.leader_elect);
  auto options = leader_options(usual.flags);
  REQUIRE(options);
  CHECK(options->lease_duration == std::chrono::seconds(15));
  CHECK(options->renew_deadline == std::chrono::seconds(10));
  CHECK(options->retry_period == std::chrono::seconds(2));
  CHECK(options->lease_name == "kube-scheduler");
  CHECK(options->name_space == "kube-system");
  CHECK(options->identity != leader_options(usual.flags)->identity);
  CHECK_FALSE(Line({"--leader-elect=false"}).flags.leader_elect);
  CHECK(
      leader_options(Line({"--leader-elect-lease-duration=1m", "--leader-elect-renew-deadline", "40s"}).flags)
          ->lease_duration == std::chrono::minutes(1));
  CHECK_FALSE(leader_options(Line({"--leader-elect-lease-duration=5s"}).flags));
  auto bad = leader_options(Line({"--leader-elect-retry-period=soon"}).flags);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message.find("--leader-elect-retry-period") == 0);
}

TEST_CASE(
    "--master takes the place of the kubeconfig's server, and stands alone where there is no kubeconfig") {
  CHECK_FALSE(remote_options(Line({}).flags, "test"));
  auto alone =
      remote_options(Line({"--master", "https://10.0.0.1:6443,https://10.0.0.2:6443"}).flags, "test");
  REQUIRE(alone);
  CHECK(alone->servers == std::vector<std::string>{"https://10.0.0.1:6443", "https://10.0.0.2:6443"});
  char name[] = "/tmp/rusternetes-flags-XXXXXX";
  const int fd = ::mkstemp(name);
  ::close(fd);
  std::ofstream(name) << "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
                      << "clusters: [{name: k, cluster: {server: 'https://10.0.0.9:6443'}}]\nusers: [{name: "
                         "u, user: {token: t}}]\n";
  auto file = remote_options(Line({"--kubeconfig", name}).flags, "test");
  REQUIRE(file);
  CHECK(file->servers == std::vector<std::string>{"https://10.0.0.9:6443"});
  auto both = remote_options(Line({"--kubeconfig", name, "--master", "http://127.0.0.1:1"}).flags, "test");
  REQUIRE(both);
  CHECK(both->servers == std::vector<std::string>{"http://127.0.0.1:1"});
  REQUIRE(both->bearer_token);
  CHECK(both->bearer_token() == "t");
  ::unlink(name);
  auto missing = remote_options(Line({"--kubeconfig", name}).flags, "test");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.find("cannot read") == 0);
}
