// completion: scripts for shells, written from the table of commands.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "launcher/command.h"

namespace rusternetes::launcher {
namespace {

std::string flags_of(const Command& command) {
  std::string out = "--help";
  for (const Flag& flag : command.flags) out += fmt::format(" {}", flag.name);
  for (const Flag& flag : common_flags()) out += fmt::format(" {}", flag.name);
  return out;
}

std::string words() {
  std::string out;
  std::set<std::string_view> seen;
  for (const Command& command : commands())
    if (seen.insert(command.word).second) out += (out.empty() ? "" : " ") + std::string(command.word);
  return out;
}

// What may follow a word: its subwords, and names of clusters where it takes one.
std::string subwords(std::string_view word) {
  std::string out;
  for (const Command& command : commands())
    if (command.word == word && !command.subword.empty())
      out += (out.empty() ? "" : " ") + std::string(command.subword);
  return out;
}

// Alternatives of a flag's value such as "podman|docker".
std::string alternatives(const Flag& flag) {
  std::string out;
  if (flag.value.find('|') == std::string_view::npos) return out;
  for (const char c : flag.value) out += c == '|' ? ' ' : c;
  return out;
}

void each_word(const std::function<void(const Command&, const std::string& subwords)>& visit) {
  std::set<std::string_view> seen;
  for (const Command& command : commands())
    if (seen.insert(command.word).second) visit(command, subwords(command.word));
}

std::string all_flags(std::string_view word) {
  std::set<std::string> seen;
  std::string out;
  for (const Command& command : commands()) {
    if (command.word != word) continue;
    std::string rest = flags_of(command) + " ";
    while (!rest.empty()) {
      const auto space = rest.find(' ');
      if (seen.insert(rest.substr(0, space)).second) out += (out.empty() ? "" : " ") + rest.substr(0, space);
      rest.erase(0, space + 1);
    }
  }
  return out;
}

bool takes_name(std::string_view word) {
  for (const Command& command : commands())
    if (command.word == word && command.takes_name) return true;
  return false;
}

std::string bash_script() {
  std::string values;
  for (const Command& command : commands())
    for (const Flag& flag : command.flags)
      if (const std::string list = alternatives(flag); !list.empty())
        values +=
            fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return ;;\n", flag.name, list);
  for (const Flag& flag : common_flags())
    if (const std::string list = alternatives(flag); !list.empty())
      values +=
          fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return ;;\n", flag.name, list);
  std::string cases;
  each_word([&](const Command& command, const std::string& sub) {
    cases += fmt::format("    {}) flags=\"{}\"; more=\"{}\"; names={} ;;\n", command.word,
                         all_flags(command.word), sub, takes_name(command.word) ? 1 : 0);
  });
  return "_rusternetes_ctl() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} flags more names=0\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"" +
         words() +
         "\" -- \"$cur\")); return; fi\n"
         "  case $prev in\n" +
         values +
         "    --archive) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
         "    --home) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
         "  esac\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  case $cur in\n"
         "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\")) ;;\n"
         "    *) [ \"$names\" = 1 ] && more=\"$more $(rusternetes-ctl list --names 2>/dev/null)\"\n"
         "       COMPREPLY=($(compgen -W \"$more\" -- \"$cur\")) ;;\n"
         "  esac\n"
         "}\n"
         "complete -F _rusternetes_ctl rusternetes-ctl\n";
}

std::string zsh_script() {
  return "#compdef rusternetes-ctl\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script();
}

// Within single quotes, fish escapes these two and nothing else.
std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_script() {
  std::string out = "complete -c rusternetes-ctl -f\n";
  each_word([&](const Command& command, const std::string& sub) {
    out += fmt::format("complete -c rusternetes-ctl -n __fish_use_subcommand -a {} -d {}\n", command.word,
                       fish_quoted(command.summary));
    const std::string when = fmt::format("-n '__fish_seen_subcommand_from {}'", command.word);
    if (!sub.empty()) out += fmt::format("complete -c rusternetes-ctl {} -a '{}'\n", when, sub);
    if (takes_name(command.word))
      out += fmt::format("complete -c rusternetes-ctl {} -a '(rusternetes-ctl list --names 2>/dev/null)'\n",
                         when);
  });
  for (const Command& command : commands())
    for (const Flag& flag : command.flags)
      out += fmt::format("complete -c rusternetes-ctl -n '__fish_seen_subcommand_from {}' -l {}{} -d {}\n",
                         command.word, flag.name.substr(2),
                         flag.value.empty()     ? std::string()
                         : flag.value == "FILE" ? std::string(" -r -F")
                                                : fmt::format(" -r -a '{}'", alternatives(flag)),
                         fish_quoted(flag.help));
  for (const Flag& flag : common_flags())
    out += fmt::format("complete -c rusternetes-ctl -l {} -r{} -d {}\n", flag.name.substr(2),
                       flag.value == "DIR" ? " -F" : fmt::format(" -a '{}'", alternatives(flag)),
                       fish_quoted(flag.help));
  return out;
}

template <std::string (*script)()>
Result<> run_completion(Invocation& invocation) {
  const std::string text = script();
  invocation.print(text, boost::json::serialize(boost::json::object{
                             {"shell", std::string(invocation.command.subword)}, {"script", text}}) +
                             "\n");
  return {};
}

Command completion(std::string_view shell, std::string_view example, Result<> (*run)(Invocation&)) {
  return {.word = "completion",
          .subword = shell,
          .summary = "Print a completion script for a shell.",
          .examples = example,
          .takes_name = false,
          .flags = {},
          .run = run};
}

}  // namespace

std::vector<Command> completion_commands() {
  return {completion("bash", "source <(rusternetes-ctl completion bash)", run_completion<bash_script>),
          completion("zsh", "source <(rusternetes-ctl completion zsh)", run_completion<zsh_script>),
          completion("fish", "rusternetes-ctl completion fish | source", run_completion<fish_script>)};
}

}  // namespace rusternetes::launcher
