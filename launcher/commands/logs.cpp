// logs: what the cluster's process wrote.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <fstream>
#include <ostream>

#include "base/nearest.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/file_wait.h"
#include "launcher/liveness.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

// All parts of the all-in-one write to one file, each line with its part in brackets; the supervisor's lines
// begin with its name.
constexpr std::array<std::string_view, 7> components{
    "rusternetes", "supervisor", "api-server", "scheduler", "controller-manager", "kubelet", "engine"};

// "2026-02-03T10:11:12.345+0000 I [PART] text"
std::string_view part_of(std::string_view line) {
  const auto open = line.find(" [");
  const auto close = open == std::string_view::npos ? open : line.find(']', open);
  if (close == std::string_view::npos || open > 40) return {};
  return line.substr(open + 2, close - open - 2);
}

bool belongs(std::string_view line, std::string_view component) {
  if (component == "rusternetes" || component == "engine") return true;
  if (component == "supervisor") return line.starts_with("supervisor:");
  const std::string_view part = part_of(line);
  if (part == component ||
      (part.starts_with(component) && part.size() > component.size() && part[component.size()] == '/'))
    return true;
  // Each controller logs under its own name.
  return component == "controller-manager" && part.ends_with("controller");
}

// One object a line. What has no time and part of its own (the supervisor's lines) is all message.
std::string line_json(std::string_view line) {
  const std::string_view part = part_of(line);
  boost::json::object out;
  if (const auto space = line.find(' '); !part.empty() && space + 2 < line.size()) {
    out["time"] = line.substr(0, space);
    out["level"] = line.substr(space + 1, 1);
    out["component"] = part;
    line = line.substr(std::min(line.find("] ") + 2, line.size()));
  }
  out["message"] = line;
  return boost::json::serialize(out);
}

class Follower {
 public:
  Follower(Invocation& invocation, fs::path file, std::string component)
      : invocation_(invocation), file_(std::move(file)), component_(std::move(component)) {}

  // Prints the last `tail` lines (all if negative) and leaves the rest to more().
  void print_tail(long tail) {
    std::vector<std::string> lines;
    read([&](std::string line) {
      lines.push_back(std::move(line));
      if (tail >= 0 && lines.size() > static_cast<std::size_t>(tail)) lines.erase(lines.begin());
    });
    for (const std::string& line : lines) print(line);
    invocation_.environment.out << std::flush;
  }
  void more() {
    read([&](const std::string& line) { print(line); });
    invocation_.environment.out << std::flush;
  }

 private:
  void print(const std::string& line) {
    invocation_.environment.out << (invocation_.is_json ? line_json(line) : line) << '\n';
  }
  template <class F>
  void read(F&& on_line) {
    std::ifstream in(file_, std::ios::binary);
    in.seekg(0, std::ios::end);
    const std::streamoff size = in.tellg();
    if (size < offset_) offset_ = 0;  // truncated or replaced
    in.seekg(offset_);
    for (std::string line; std::getline(in, line);) {
      if (in.eof()) break;  // not a whole line yet
      offset_ += static_cast<std::streamoff>(line.size()) + 1;
      if (belongs(line, component_)) on_line(std::move(line));
    }
  }
  Invocation& invocation_;
  fs::path file_;
  std::string component_;
  std::streamoff offset_ = 0;
};

Result<long> tail_flag(const Invocation& invocation) {
  long tail = -1;
  const std::string text = invocation.text("--tail");
  if (text.empty()) return tail;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tail);
  if (error != std::errc() || end != text.data() + text.size() || tail < -1)
    return failure("BadRequest", fmt::format("--tail \"{}\" is not a number of lines", text));
  return tail;
}

Status no_component(const std::string& component, const std::vector<std::string>& all) {
  const std::string near = nearest(component, all);
  return failure("BadRequest",
                 fmt::format("there is no component \"{}\"; {}", component,
                             near.empty() ? fmt::format("there are {}", fmt::join(all, ", "))
                                          : fmt::format("did you mean \"{}\"?", near)));
}

// Where components' containers write, or wrote before the cluster was stopped.
Result<std::vector<std::pair<std::string, std::string>>> log_files(const StepContext& context,
                                                                   const std::string& component) {
  std::vector<std::string> names = components_of(context.settings);
  std::vector<std::pair<std::string, std::string>> out;
  RN_TRY(const Liveness liveness, look_at(context));
  for (const Member& member : members_of(context.settings)) {
    if (member.key != member.component) names.push_back(member.key);
    if (!component.empty() && component != member.component && component != member.key) continue;
    std::string file = context.paths.logs() / (member.key + ".log");
    for (const ComponentContainer& one : liveness.components)
      if (one.key == member.key && !one.log_file.empty()) file = one.log_file;
    out.emplace_back(member.key, file);
  }
  if (out.empty()) return no_component(component, names);
  return out;
}

// Each line has its component in front, unless one is asked for.
Result<> print_containers(Invocation& invocation, const StepContext& context, long tail) {
  EnginePort::LogRequest request{.files = {}, .tail = tail, .follow = invocation.has("--follow")};
  RN_TRY(request.files, log_files(context, invocation.text("--component")));
  std::ostream& out = invocation.environment.out;
  const auto print = [&](const std::string& key, std::string_view line) {
    if (invocation.is_json)
      out << boost::json::serialize(boost::json::object{{"component", key}, {"message", line}}) << '\n';
    else if (request.files.size() == 1)
      out << line << '\n';
    else
      out << fmt::format("{:<22} {}\n", key, line);
    return static_cast<bool>(out << std::flush);
  };
  return invocation.environment.engine.read_logs(
      request, print, [&] { return !invocation.environment.is_interrupted(); });
}

Result<> print_process(Invocation& invocation, const ClusterPaths& paths, long tail) {
  const std::string component = invocation.text("--component", "rusternetes");
  if (std::find(components.begin(), components.end(), component) == components.end())
    return no_component(component, {components.begin(), components.end()});
  const fs::path file = component == "engine" ? paths.engine() / "podman.log" : paths.process_log();
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    return failure("NotFound", fmt::format("there is no log {}", file.string()));
  Follower follower(invocation, file, component);
  follower.print_tail(tail);
  if (!invocation.has("--follow")) return {};
  while (!invocation.environment.is_interrupted() && invocation.environment.out) {
    RN_TRY([[maybe_unused]] const bool met, wait_for_folder(file.parent_path(), std::chrono::minutes(1), [&] {
             follower.more();
             return invocation.environment.is_interrupted() || !fs::exists(file, ignored);
           }));
    if (!fs::exists(file, ignored)) return {};  // the cluster was deleted
  }
  return {};
}

Result<> run_logs(Invocation& invocation) {
  RN_TRY(const long tail, tail_flag(invocation));
  Context context;
  {
    RN_TRY(auto session, Session::open(invocation, Session::Access::read));
    RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
    context = make_context(invocation.environment, nullptr, invocation.home, settings, nullptr);
  }
  return context->settings.has_containers() ? print_containers(invocation, *context, tail)
                                            : print_process(invocation, context->paths, tail);
}

}  // namespace

Command logs_command() {
  return {.word = "logs",
          .subword = "",
          .summary = "Print what a cluster's process or components wrote.",
          .examples = "rusternetes-ctl logs --tail 50\nrusternetes-ctl logs dev --component kubelet --follow\n"
                      "rusternetes-ctl logs prod --component api-server-2",
          .flags = {{"--component", "NAME",
                     "api-server, scheduler, controller-manager, kubelet and so on, as `status` names them; "
                     "of one process also supervisor and engine (all of it)"},
                    {"--follow", "", "go on printing what is added", false, 'f'},
                    {"--tail", "LINES", "only the last lines (-1: all)"}},
          .run = run_logs};
}

}  // namespace rusternetes::launcher
