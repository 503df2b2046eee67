#pragma once
// The command line as a table: one entry a command, from which parsing, help, completion and the forbidden
// cluster names are derived. `rusternetes-ctl WORD [SUBWORD] [NAME] [--flags]`.

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "launcher/environment.h"
#include "launcher/home.h"

namespace rusternetes::launcher {

// The API level of clusters.
inline constexpr const char* kubernetes_version = "v1.35";

struct Flag {
  std::string_view name;   // "--pod-cidr"
  std::string_view value;  // "CIDR"; empty for a switch
  std::string_view help;
  bool is_repeated = false;
  char letter = 0;  // "-f"; 0: none
};

struct Invocation;

struct Command {
  std::string_view word;
  std::string_view subword;   // may be empty
  std::string_view summary;   // one sentence
  std::string_view examples;  // lines, without indentation
  bool takes_name = true;
  std::vector<Flag> flags;  // beside those of every command
  Result<> (*run)(Invocation&) = nullptr;
};

// What the user asked for, with the values of flags as text; and where its results go.
struct Invocation {
  Environment& environment;
  const Command& command;
  Home home;
  std::string name;  // "rusternetes" if none was given
  bool has_name = false;
  bool is_json = false;  // --output json
  std::map<std::string, std::vector<std::string>, std::less<>> flags;
  int exit_code = 0;  // of a command that has told its failure in its result

  bool has(std::string_view flag) const { return flags.contains(flag); }
  std::string text(std::string_view flag, std::string_view otherwise = "") const;
  // Prints the result: `json` with --output json, else `text`. Each ends with a newline.
  void print(const std::string& text, const std::string& json) const;
};

// Every command, in the order of the help.
std::span<const Command> commands();
bool is_command_word(std::string_view word);
// Flags that every command has.
std::span<const Flag> common_flags();

// One file of commands/ each.
Command create_command();
Command list_command();
Command status_command();
Command stop_command();
Command start_command();
Command restart_command();
Command upgrade_command();
Command rollback_command();
Command delete_command();
std::vector<Command> certs_commands();
std::vector<Command> kubeconfig_commands();
std::vector<Command> snapshot_commands();
Command restore_command();
Command clone_command();
Command migrate_command();
std::vector<Command> node_commands();
std::vector<Command> port_commands();
Command logs_command();
Command images_command();
Command image_load_command();
Command manifest_command();
Command support_bundle_command();
Command doctor_command();
Command version_command();
std::vector<Command> completion_commands();

}  // namespace rusternetes::launcher
