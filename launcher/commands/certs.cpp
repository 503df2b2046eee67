// certs list, certs check, certs rotate.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/report.h"
#include "launcher/rotation.h"
#include "launcher/running.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;

struct Line {
  certs::Expiry certificate;
  std::int64_t days_left = 0;
  std::string problem;      // empty: none
  bool is_signing = false;  // the authority that issues; of two in a file the first
};

// A leaf has to be of one of the authorities beside it, and its key has to be its own.
std::string problem_of(const std::filesystem::path& folder, const std::string& file,
                       const std::vector<certs::Expiry>& all, SystemTime now) {
  const auto text = certs::read_text(folder / file);
  if (!text) return text.error().message;
  const std::string stem = file.substr(0, file.size() - std::string_view(".crt").size());
  if (const auto pair = certs::read_pair(folder, stem); !pair)
    return pair.error().message;
  else if (const auto fits = certs::key_matches(*pair); !fits || !*fits)
    return fmt::format("{}.key is not its key", stem);
  std::string why = "no authority beside it has signed it";
  for (const certs::Expiry& authority : all) {
    if (!authority.info.is_authority) continue;
    const auto signer = certs::read_text(folder / authority.file);
    const auto verified = signer ? certs::verify(*text, *signer, now) : Result<>(signer.error());
    if (verified) return "";
    const auto own = certs::inspect(*text);
    if (own && own->issuer_common_name == authority.info.common_name) why = verified.error().message;
  }
  return why;
}

Result<std::vector<Line>> look(const StepContext& context, std::chrono::hours soon) {
  const SystemTime now = context.environment.clock.now();
  RN_TRY(const auto all, certs::expiries(context.paths.pki()));
  std::vector<Line> lines;
  for (const certs::Expiry& each : all) {
    Line line{each, std::chrono::floor<std::chrono::days>(each.info.not_after - now).count(), {}};
    if (each.info.is_authority) {
      RN_TRY(const std::string text, certs::read_text(context.paths.pki() / each.file));
      RN_TRY(const certs::CertificateInfo first, certs::inspect(text));
      line.is_signing = first.serial_hex == each.info.serial_hex;
    }
    if (each.info.not_after <= now)
      line.problem = "it has expired";
    else if (each.info.not_before > now)
      line.problem = "it is not valid yet: is the clock of this host right?";
    else
      line.problem = problem_of(context.paths.pki(), each.file, all, now);
    if (line.problem.empty() && each.info.expires_within(soon, now)) line.problem = "it expires soon";
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string text_of(const std::vector<Line>& lines) {
  std::string text =
      fmt::format("{:<28} {:<32} {:<26} {:<21} {}\n", "FILE", "NAME", "SIGNED BY", "EXPIRES", "DAYS");
  for (const Line& line : lines) {
    const certs::CertificateInfo& info = line.certificate.info;
    text += fmt::format("{:<28} {:<32} {:<26} {:<21} {}\n", line.certificate.file, info.common_name,
                        !info.is_authority ? info.issuer_common_name
                        : line.is_signing  ? "(an authority)"
                                           : "(trusted, signs nothing)",
                        date_text(info.not_after), line.days_left);
    if (!line.problem.empty()) text += fmt::format("  {}\n", line.problem);
  }
  return text;
}

json::object json_of(const ClusterSettings& settings, const std::vector<Line>& lines) {
  json::array array;
  for (const Line& line : lines) {
    const certs::CertificateInfo& info = line.certificate.info;
    array.push_back(json::object{{"file", line.certificate.file},
                                 {"commonName", info.common_name},
                                 {"issuer", info.issuer_common_name},
                                 {"isAuthority", info.is_authority},
                                 {"isSigning", line.is_signing},
                                 {"notBefore", date_text(info.not_before)},
                                 {"notAfter", date_text(info.not_after)},
                                 {"daysLeft", line.days_left},
                                 {"problem", line.problem}});
  }
  return {{"cluster", settings.name}, {"certificates", std::move(array)}};
}

Result<> run_list(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_TRY(const auto lines, look(*session->context(settings), std::chrono::hours(0)));
  RN_TRY(const auto rotation, rotation_of(session->context(settings)->paths.pki()));
  json::object object = json_of(settings, lines);
  object["rotation"] = rotation_json(rotation);
  invocation.print(text_of(lines) + rotation_text(settings.name, rotation), json::serialize(object) + "\n");
  return {};
}

Result<> run_check(Invocation& invocation) {
  int days = 30;
  if (const std::string text = invocation.text("--days"); !text.empty()) {
    const auto number = parse_port(text);  // 1 to 65535
    if (!number) return failure("BadRequest", fmt::format("--days \"{}\" is not a number of days", text));
    days = *number;
  }
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_TRY(auto lines, look(*session->context(settings), std::chrono::hours(24 * days)));
  const std::size_t all = lines.size();
  std::erase_if(lines, [](const Line& line) { return line.problem.empty(); });
  json::object object = json_of(settings, lines);
  RN_TRY(const auto rotation, rotation_of(session->context(settings)->paths.pki()));
  object["rotation"] = rotation_json(rotation);
  const std::string under_way = rotation_text(settings.name, rotation);
  if (lines.empty()) {
    invocation.print(fmt::format("All {} certificates of \"{}\" are good for {} days and more.\n{}", all,
                                 settings.name, days, under_way),
                     json::serialize(object) + "\n");
    return {};
  }
  const Status verdict =
      failure("CertificatesExpire",
              fmt::format("{} of {} certificates of \"{}\" have expired, expire within {} days, "
                          "or do not fit",
                          lines.size(), all, settings.name, days));
  object["error"] = error_json(verdict);
  invocation.print(text_of(lines) + under_way, json::serialize(object) + "\n");
  if (!invocation.is_json) return verdict;
  invocation.exit_code = error_kind(verdict.reason).exit_code;  // one document, not two
  return {};
}

Result<> run_rotate(Invocation& invocation) {
  if (asks_for_authorities(invocation)) return run_rotate_authorities(invocation);
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  RN_TRY(const OpenedCluster opened, open_cluster(invocation));
  const ClusterSettings& settings = opened.settings;
  const Context context = opened.context();
  if (opened.is_dry) {
    print_plan(invocation, rotate_plan(context), settings);
    return {};
  }
  // A stopped cluster gets them, too, and uses them once it is started.
  RN_TRY(const Liveness liveness, look_at(*context));
  RN_CHECK(opened.session->run(rotate_plan(context), settings));
  const bool is_waiting = wait.count() > 0 && liveness.is_running;
  if (is_waiting) RN_CHECK(wait_with_progress(*opened.session, *context, wait));
  invocation.print(
      fmt::format(
          "The certificates of \"{}\" are new{}. Copies of its kubeconfig elsewhere keep working until "
          "theirs expires.\n",
          settings.name, is_waiting ? ", and the cluster is ready" : ""),
      json::serialize(json::object{{"cluster", describe_json(settings)}, {"ready", is_waiting}}) + "\n");
  return {};
}

}  // namespace

std::vector<Command> certs_commands() {
  return {
      {.word = "certs",
       .subword = "list",
       .summary = "List a cluster's certificates, the one that expires first in front.",
       .examples = "rusternetes-ctl certs list dev\nrusternetes-ctl certs list dev --output json",
       .flags = {},
       .run = run_list},
      {.word = "certs",
       .subword = "check",
       .summary = "Tell which certificates have expired, expire soon, or do not fit; exit code 0 for none.",
       .examples = "rusternetes-ctl certs check dev --days 60",
       .flags = {{"--days", "DAYS", "what is soon (30)"}},
       .run = run_check},
      {.word = "certs",
       .subword = "rotate",
       .summary = "Issue all certificates anew, or replace the authorities, and have the cluster's processes read them.",
       .examples = "rusternetes-ctl certs rotate dev\n"
                   "rusternetes-ctl certs rotate dev --authorities   # the old ones are trusted on\n"
                   "rusternetes-ctl certs rotate dev --drop-old      # when nobody needs them any more",
       .flags = {{"--authorities", "", "new authorities, too, and a new key of service account tokens; the old ones are "
                                       "trusted until --drop-old"},
                 {"--authority", "NAME", "only of these: ca, etcd/ca, front-proxy-ca; sa: the key of tokens (may be "
                                         "repeated)", true},
                 {"--drop-old", "", "trust the replaced ones no longer; with --authorities: at once"},
                 {"--wait", "DURATION", "how long to wait for a Ready node (60s; 0 returns at once)"},
                 {"--dry-run", "", "print the steps and change nothing"},
                 {"--yes", "", "answer what asks", false, 'y'}},
       .run = run_rotate}};
}

}  // namespace rusternetes::launcher
