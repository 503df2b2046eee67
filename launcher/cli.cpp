#include "launcher/cli.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <ostream>
#include <set>

#include "base/nearest.h"
#include "launcher/command.h"
#include "launcher/failure.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {
namespace {

// One parsed command; its strings are bound to CLI11's options, so it does not move.
struct Parsed {
  const Command* command = nullptr;
  CLI::App* app = nullptr;
  std::string name;
  std::map<std::string, std::vector<std::string>, std::less<>> values;
  std::map<std::string, bool, std::less<>> switches;
};

void add_flag(Parsed& parsed, const Flag& flag) {
  const std::string name(flag.name);
  const std::string names = flag.letter == 0 ? name : fmt::format("-{},{}", flag.letter, name);
  if (flag.value.empty()) {
    parsed.app->add_flag(names, parsed.switches[name], std::string(flag.help));
    return;
  }
  auto* option = parsed.app->add_option(names, parsed.values[name], std::string(flag.help));
  option->type_name(std::string(flag.value))->expected(1)->allow_extra_args(false);
  if (flag.is_repeated)
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  else
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

// The grammar of design's `WORD [SUBWORD] [NAME] [--flags]`, which CLI11 would show in another order.
class HelpFormat final : public CLI::Formatter {
 public:
  HelpFormat() {
    column_width(34);
  }
  std::string make_usage(const CLI::App* app, std::string) const override {
    std::string words, choices;
    for (const CLI::App* at = app; at != nullptr; at = at->get_parent())
      words = at->get_name() + (words.empty() ? "" : " ") + words;
    for (const CLI::App* below : app->get_subcommands({}))
      choices += (choices.empty() ? "" : "|") + below->get_name();
    if (app->get_parent() == nullptr) choices = "COMMAND";
    if (!choices.empty())
      words += app->get_require_subcommand_min() > 0 ? " " + choices : " [" + choices + "]";
    const bool takes_name = app->get_parent() == nullptr || app->get_option_no_throw("NAME") != nullptr;
    return fmt::format("\nUsage: {}{} [--flags]\n", words, takes_name ? " [NAME]" : "");
  }
  std::string make_footer(const CLI::App* app) const override {
    return app->get_footer().empty() ? "" : app->get_footer() + "\n";
  }
};

std::string indented(std::string_view lines) {
  std::string out;
  while (!lines.empty()) {
    const auto end = lines.find('\n');
    out += "  " + std::string(lines.substr(0, end)) + "\n";
    lines = end == std::string_view::npos ? std::string_view() : lines.substr(end + 1);
  }
  return out;
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Of a word with all its subwords.
std::string examples_of(std::string_view word) {
  std::string out;
  for (const Command& command : commands())
    if (command.word == word) out += indented(command.examples);
  return "Examples:\n" + trimmed(out);
}

// `words` has what was added so far, by word.
void add_command(CLI::App& root, const Command& command, std::map<std::string, CLI::App*>& words,
                 std::deque<Parsed>& all) {
  CLI::App* parent = &root;
  std::string word(command.word);
  if (!command.subword.empty()) {
    // A word such as `image` has no meaning without its subword.
    CLI::App*& group = words[word];
    if (group == nullptr) {
      group = root.add_subcommand(word, std::string(command.summary))->group("Commands")->require_subcommand(1);
      group->footer(examples_of(word));
    }
    parent = group;
    word = command.subword;
  }
  Parsed& parsed = all.emplace_back();
  parsed.command = &command;
  parsed.app = parent->add_subcommand(word, std::string(command.summary))->group("Commands");
  if (command.subword.empty()) words[word] = parsed.app;
  parsed.app->allow_extras();
  parsed.app->footer(command.subword.empty() ? examples_of(command.word)
                                             : "Examples:\n" + trimmed(indented(command.examples)));
  if (command.takes_name)
    parsed.app->add_option("NAME", parsed.name, "the cluster (rusternetes)")->type_name("");
  for (const Flag& flag : command.flags) add_flag(parsed, flag);
  for (const Flag& flag : common_flags()) add_flag(parsed, flag);
}

std::string suggestion(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near);
}

std::vector<std::string> words_below(std::string_view word) {
  std::set<std::string> out;
  for (const Command& command : commands())
    if (word.empty())
      out.emplace(command.word);
    else if (command.word == word && !command.subword.empty())
      out.emplace(command.subword);
  return {out.begin(), out.end()};
}

Status unknown(const Command& command, const std::string& extra) {
  if (extra.starts_with("-")) {
    std::vector<std::string> flags{"--help"};
    for (const Flag& flag : command.flags) flags.emplace_back(flag.name);
    for (const Flag& flag : common_flags()) flags.emplace_back(flag.name);
    const std::string bare = extra.substr(0, extra.find('='));
    return failure("Usage", fmt::format("{} has no flag {}{}", command.word, bare, suggestion(bare, flags)));
  }
  return failure("Usage", fmt::format("{} does not take \"{}\": the only argument is the cluster's name",
                                      command.word, extra));
}

// Words that are not commands, before CLI11 would take them for something else.
Result<> check_words(const std::vector<std::string>& words) {
  if (words.empty()) return failure("Usage", "a command is missing");
  const std::string& first = words.front();
  if (first.starts_with("-")) {
    if (first == "-h" || first == "--help") return {};
    return failure("Usage", fmt::format("the command comes before the flag {}", first));
  }
  const auto all = words_below("");
  if (std::find(all.begin(), all.end(), first) == all.end())
    return failure("Usage", fmt::format("there is no command \"{}\"{}", first, suggestion(first, all)));
  const auto below = words_below(first);
  const bool needs_subword =
      !below.empty() && std::none_of(commands().begin(), commands().end(),
                                     [&](const Command& c) { return c.word == first && c.subword.empty(); });
  if (!needs_subword) return {};
  if (words.size() < 2 || words[1].starts_with("-")) {
    if (words.size() >= 2 && (words[1] == "-h" || words[1] == "--help")) return {};
    return failure("Usage", fmt::format("{} needs one of: {}", first, joined(below, ", ")));
  }
  if (std::find(below.begin(), below.end(), words[1]) == below.end()) {
    const std::string near = suggestion(words[1], below);
    return failure(
        "Usage", fmt::format("there is no command \"{} {}\"{}", first, words[1],
                             near.empty() ? fmt::format("; {} takes {}", first, joined(below, ", ")) : near));
  }
  return {};
}

// Sets `exit_code` for a command that has told its failure itself.
Result<> run_parsed(Parsed& parsed, Environment& environment, bool is_json, int& exit_code) {
  if (const auto extras = parsed.app->remaining(); !extras.empty())
    return unknown(*parsed.command, extras.front());
  Invocation invocation{
      .environment = environment, .command = *parsed.command, .home = {}, .name = parsed.name};
  for (auto& [flag, values] : parsed.values)
    if (!values.empty()) invocation.flags.emplace(flag, values);
  for (const auto& [flag, is_set] : parsed.switches)
    if (is_set) invocation.flags.emplace(flag, std::vector<std::string>());
  const std::string output = invocation.text("--output", "text");
  if (output != "text" && output != "json")
    return failure("BadRequest", fmt::format("--output \"{}\" is not one of text, json", output));
  invocation.is_json = is_json;
  invocation.has_name = !parsed.name.empty();
  if (!invocation.has_name) invocation.name = "rusternetes";
  if (invocation.has_name) RN_CHECK(check_cluster_name(invocation.name));
  invocation.home = find_home(invocation.text("--home"), environment.variable);
  auto result = parsed.command->run(invocation);
  exit_code = invocation.exit_code;
  return result;
}

int report(const Status& status, Environment& environment, bool is_json) {
  const ErrorKind& kind = error_kind(status.reason);
  if (is_json) {
    environment.out << boost::json::serialize(boost::json::object{{"error", error_json(status)}}) << '\n'
                    << std::flush;
    return kind.exit_code;
  }
  environment.err << fmt::format("rusternetes-ctl: {} [{}]\n", status.message, kind.id);
  if (!kind.advice.empty()) environment.err << kind.advice << '\n';
  environment.err << std::flush;
  return kind.exit_code;
}

}  // namespace

namespace {

// What people type from habit: `help`, `help create`, `--version`.
std::vector<std::string> habits(std::vector<std::string> words) {
  if (words.empty()) return words;
  if (words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  } else if (words.front() == "--version" || words.front() == "-v") {
    words.front() = "version";
  }
  return words;
}

// "--api-port needs a value: PORT", for CLI11's own words.
Status misused(const CLI::ParseError& error) {
  const std::string said = error.what();
  const auto colon = said.find(": 1 required ");
  if (colon == std::string::npos) return failure("Usage", said);
  const auto type = said.substr(colon + 13);
  return failure("Usage", fmt::format("{} needs a value: {}", said.substr(0, colon),
                                      type.substr(0, type.find(" missing"))));
}

}  // namespace

int run(const std::vector<std::string>& typed, Environment& environment) {
  const std::vector<std::string> words = habits(typed);
  // Known before parsing, so that errors of the parser have the asked-for form too.
  bool is_json = false;
  for (std::size_t i = 0; i < words.size(); ++i)
    is_json =
        is_json || words[i] == "--output=json" || words[i] == "-ojson" || words[i] == "-o=json" ||
        ((words[i] == "--output" || words[i] == "-o") && i + 1 < words.size() && words[i + 1] == "json");
  if (auto checked = check_words(words); !checked) return report(checked.error(), environment, is_json);

  CLI::App root{"Launches and keeps Kubernetes clusters on this host.", "rusternetes-ctl"};
  root.formatter(std::make_shared<HelpFormat>());
  root.require_subcommand(1);
  root.footer("Examples:\n" +
              indented("rusternetes-ctl create\nkubectl get nodes\nrusternetes-ctl delete --yes") +
              "\nThe only argument is a cluster's NAME, \"rusternetes\" if none is given. `rusternetes-ctl "
              "help COMMAND` "
              "shows\na command's flags.");
  std::deque<Parsed> all;
  std::map<std::string, CLI::App*> by_word;
  for (const Command& command : commands()) add_command(root, command, by_word, all);
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // CLI11 takes its vector from the back
    root.parse(reversed);
  } catch (const CLI::Success& help) {
    root.exit(help, environment.out, environment.err);
    environment.out << std::flush;
    return 0;
  } catch (const CLI::ParseError& error) {
    return report(misused(error), environment, is_json);
  }
  Parsed* chosen = nullptr;
  for (Parsed& parsed : all)
    if (parsed.app->parsed() && (chosen == nullptr || !parsed.command->subword.empty())) chosen = &parsed;
  RN_ASSERT(chosen != nullptr, "the parser let a command line without a command pass");
  Result<> result;
  int exit_code = 0;
  try {
    result = run_parsed(*chosen, environment, is_json, exit_code);
  } catch (const std::exception&
               error) {  // libraries throw for what the host refuses; it becomes one sentence here
    result = internal_error(error.what());
  }
  return result ? exit_code : report(result.error(), environment, is_json);
}

}  // namespace rusternetes::launcher
