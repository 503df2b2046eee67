#pragma once
// Flags that the programs share, and what to say of those that are not ours.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/leader_elector.h"
#include "client/remote_client.h"

namespace CLI {
class App;
}

namespace rusternetes::program {

struct CommonFlags {
  std::string kubeconfig;
  std::vector<std::string> masters;
  bool leader_elect = true;
  std::string lease_duration = "15s", renew_deadline = "10s", retry_period = "2s";
  std::string lease_name, lease_namespace = "kube-system";
  std::string bind_address = "0.0.0.0";
  int secure_port = 0;  // 0: health is not served
  std::string tls_certificate_file, tls_key_file;
  int verbosity = 0;
};

// The defaults for `flags.lease_name` and `flags.secure_port` are set before.
void add_common_flags(CLI::App& app, CommonFlags& flags);

// From the kubeconfig, or --master alone; --master's servers take the place of the kubeconfig's.
Result<client::RemoteOptions> remote_options(const CommonFlags& flags, std::string user_agent);
// With an identity of its own for every call.
Result<client::LeaderElector::Options> leader_options(const CommonFlags& flags);

// `own` and the flags that all of kube's controllers' programs share and that have no counterpart here.
std::set<std::string_view> with_common_unsupported(std::set<std::string_view> own);

// Parses the command line. Nothing: go on. Else the exit code; what there was to say has been said.
// `unsupported`: flags of the program whose place this one takes that have no counterpart here.
std::optional<int> parse(CLI::App& app, int argc, char** argv, const std::set<std::string_view>& unsupported);
// The sentence about the first of the left-over words; empty when there is none.
std::string explain_unknown(const CLI::App& app, const std::vector<std::string>& words,
                            const std::set<std::string_view>& unsupported);

}  // namespace rusternetes::program
