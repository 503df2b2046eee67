#include "api-proxy/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <ostream>

#include "base/duration.h"
#include "base/nearest.h"
#include "base/release.h"
#include "certs/certificate.h"
#include "certs/file.h"

namespace rusternetes::api_proxy {

using std::chrono::milliseconds;

namespace {

Status wrong(std::string message) { return {400, "BadRequest", std::move(message)}; }

void add_flags(CLI::App& app, Flags& flags) {
  app.allow_extras();  // so that what is left over gets a sentence of ours
  app.add_option("--listen-address", flags.listen_address, "ADDRESS:PORT where clients find the cluster");
  app.add_option("--server", flags.servers, "HOST:PORT of an api-server; may be repeated")->delimiter(',');
  app.add_option("--certificate-authority", flags.certificate_authority,
                 "File with the authority that the servers' certificates come from");
  app.add_option("--client-certificate", flags.client_certificate,
                 "File with the certificate that probes show; needed where /readyz is not for everybody");
  app.add_option("--client-key", flags.client_key, "File with its key");
  app.add_option("--probe-interval", flags.probe_interval, "From one probe of a server to the next")
      ->capture_default_str();
  app.add_option("--probe-timeout", flags.probe_timeout, "How long a server has to answer a probe")
      ->capture_default_str();
  app.add_option("--health-address", flags.health_address,
                 "ADDRESS:PORT of /healthz and /readyz of the proxy itself; empty: they are not served")
      ->capture_default_str();
  app.add_option("-v,--v", flags.verbosity, "Verbosity of the log; from 4 on, details")
      ->capture_default_str();
}

std::string explain_unknown(const CLI::App& app, const std::string& word) {
  const auto dashes = word.find_first_not_of('-');
  if (dashes == 0 || dashes == word.npos) return fmt::format("unexpected argument \"{}\"", word);
  const std::string name = word.substr(dashes, word.find('=') - dashes);
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  if (const std::string near = nearest(name, names); !near.empty())
    return fmt::format("there is no flag --{}; did you mean --{}?", name, near);
  return fmt::format("there is no flag --{}; --help lists them", name);
}

// Where we listen ourselves.
Result<HostPort> own_address(const char* flag, const std::string& text) {
  const auto parsed = parse_host_port(text);
  if (!parsed) return wrong(fmt::format("--{}: {}", flag, parsed.error().message));
  boost::system::error_code error;
  asio::ip::make_address(parsed->host, error);
  if (error)
    return wrong(fmt::format("--{}: \"{}\" is no IP address; 0.0.0.0 stands for all", flag, parsed->host));
  return *parsed;
}

Result<milliseconds> span(const char* flag, const std::string& text) {
  const auto parsed = parse_duration(text);
  if (!parsed) return wrong(fmt::format("--{}: {}", flag, parsed.error().message));
  if (*parsed < milliseconds(10))
    return wrong(fmt::format("--{}: {} is too short; 10ms is the least", flag, text));
  return *parsed;
}

Result<std::shared_ptr<TlsFiles>> probe_tls(const Flags& flags) {
  if (flags.certificate_authority.empty())
    return wrong(
        "--certificate-authority is missing: the file with the authority of the servers' certificates");
  if (flags.client_certificate.empty() != flags.client_key.empty())
    return wrong("--client-certificate and --client-key go together");
  RN_TRY(auto files,
         TlsFiles::read({flags.certificate_authority, flags.client_certificate, flags.client_key}));
  return std::make_shared<TlsFiles>(std::move(files));
}

}  // namespace

std::optional<int> parse(const std::vector<std::string>& words, Flags& flags, std::ostream& out,
                         std::ostream& err) {
  CLI::App app{"The host's one address of a cluster with several api-servers", "api-proxy"};
  app.footer(
      "Example:\n  api-proxy --listen-address 127.0.0.1:6443 --server 10.89.0.2:6443 --server 10.89.0.3:6443 "
      "--certificate-authority /etc/kubernetes/pki/ca.crt");
  add_flags(app, flags);
  app.set_version_flag("--version", version_line("api-proxy"));
  std::string problem;
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
    if (const auto left = app.remaining(); !left.empty()) problem = explain_unknown(app, left.front());
  } catch (const CLI::CallForHelp&) {
    out << app.help();
    return 0;
  } catch (const CLI::CallForVersion&) {
    out << app.version() << "\n";
    return 0;
  } catch (const CLI::ParseError& error) {
    problem = error.what();
  }
  if (problem.empty()) return std::nullopt;
  err << "api-proxy: " << problem << "\n";
  return 1;
}

Result<Options> options_of(const Flags& flags) {
  Options out;
  if (flags.listen_address.empty())
    return wrong("--listen-address is missing: where clients find the cluster");
  RN_TRY(out.listen, own_address("listen-address", flags.listen_address));
  if (flags.servers.empty())
    return wrong("--server is missing: HOST:PORT of an api-server, as often as there are");
  for (const auto& text : flags.servers) {
    auto server = parse_host_port(text);
    if (!server) return wrong(fmt::format("--server: {}", server.error().message));
    if (server->port == 0) return wrong(fmt::format("--server: \"{}\": nobody listens on port 0", text));
    if (std::find(out.servers.begin(), out.servers.end(), *server) != out.servers.end())
      return wrong(fmt::format("--server: {} is named twice", text));
    out.servers.push_back(*std::move(server));
  }
  RN_TRY(out.tls_files, probe_tls(flags));
  RN_TRY(out.probe_interval, span("probe-interval", flags.probe_interval));
  RN_TRY(out.probe_timeout, span("probe-timeout", flags.probe_timeout));
  if (!flags.health_address.empty()) {
    RN_TRY(out.health, own_address("health-address", flags.health_address));
  }
  return out;
}

}  // namespace rusternetes::api_proxy
