#include "launcher/command.h"

#include <algorithm>
#include <array>
#include <ostream>

namespace rusternetes::launcher {

std::span<const Command> commands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> list{create_command(), list_command(),  status_command(),
                              stop_command(),   start_command(), restart_command(), delete_command()};
    list.push_back(upgrade_command());
    list.push_back(rollback_command());
    for (Command& command : certs_commands()) list.push_back(std::move(command));
    for (Command& command : kubeconfig_commands()) list.push_back(std::move(command));
    for (Command& command : snapshot_commands()) list.push_back(std::move(command));
    list.push_back(restore_command());
    list.push_back(clone_command());
    list.push_back(migrate_command());
    for (Command& command : node_commands()) list.push_back(std::move(command));
    for (Command& command : port_commands()) list.push_back(std::move(command));
    list.push_back(logs_command());
    list.push_back(images_command());
    list.push_back(image_load_command());
    list.push_back(manifest_command());
    list.push_back(doctor_command());
    list.push_back(support_bundle_command());
    list.push_back(version_command());
    for (Command& command : completion_commands()) list.push_back(std::move(command));
    return list;
  }();
  return all;
}

bool is_command_word(std::string_view word) {
  const auto all = commands();
  return word == "help" || std::any_of(all.begin(), all.end(), [&](const Command& command) {
           return command.word == word || (!command.subword.empty() && command.subword == word);
         });
}

std::span<const Flag> common_flags() {
  static constexpr std::array flags{
      Flag{"--home", "DIR", "where clusters and their state are kept (also RUSTERNETES_HOME)"},
      Flag{"--output", "text|json", "form of the result (text)", false, 'o'},
  };
  return flags;
}

std::string Invocation::text(std::string_view flag, std::string_view otherwise) const {
  const auto found = flags.find(flag);
  return found == flags.end() || found->second.empty() ? std::string(otherwise) : found->second.back();
}

void Invocation::print(const std::string& text, const std::string& json) const {
  environment.out << (is_json ? json : text) << std::flush;
}

}  // namespace rusternetes::launcher
