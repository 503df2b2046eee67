// bench_load: one measurement of one api-server, ours or another, as one line of JSON on standard output.

#include <CLI/CLI.hpp>

#include "load/words.h"
#include "word_program.h"

using namespace rusternetes;
using namespace rusternetes::bench;

namespace {

void define(CLI::App& app, Flags& flags) {
  app.require_subcommand(1);
  auto* pki = app.add_subcommand("pki", "Write certificates and kubeconfigs for a control plane");
  pki->add_option("--folder", flags.folder, "Where to")->required();
  pki->add_option("--server", flags.server, "Address of the api-server in the kubeconfigs")->required();
  const std::pair<const char*, const char*> words[] = {
      {"prepare", "Make the namespace of the load"},
      {"create", "Create Pods"},
      {"run", "Patch the status of Pods to Running"},
      {"patch", "Merge-patch a label and an annotation of Pods"},
      {"get", "Get Pods"},
      {"delete", "Delete Pods"},
      {"list", "List all Pods, one request at a time"},
      {"watch", "Time from a create call to its event at another client"},
      {"running", "Watch a Pod until it is Running"}};
  for (const auto& [word, help] : words) {
    auto* sub = app.add_subcommand(word, help);
    sub->add_option("--kubeconfig", flags.kubeconfig, "The api-server and who asks it")->required();
    const std::string_view name = word;
    if (name == "prepare") continue;
    if (name == "running") {
      sub->add_option("--namespace", flags.name_space)->capture_default_str();
      sub->add_option("--name", flags.name, "The Pod")->required();
      sub->add_option("--create", flags.create, "JSON of the Pod, created once the watch is open");
      continue;
    }
    sub->add_option("--count", flags.count, "How many requests")->capture_default_str();
    if (name == "watch")
      sub->add_option("--prefix", flags.prefix, "Of the Pods' names")->capture_default_str();
    if (name == "list")
      sub->add_option("--encoding", flags.encoding, "json or protobuf")
          ->check(CLI::IsMember({"json", "protobuf"}));
    if (name == "watch" || name == "list") continue;
    sub->add_option("--from", flags.from, "Number of the first")->capture_default_str();
    sub->add_option("--pods", flags.modulo, "patch, get: how many Pods there are")->capture_default_str();
    sub->add_option("--workers", flags.fleet.workers, "Requests under way at a time")->capture_default_str();
    sub->add_option("--connections", flags.fleet.connections, "HTTP/2 connections that the workers share")
        ->capture_default_str();
    sub->add_option("--threads", flags.fleet.threads, "Threads that the workers are spread over")
        ->capture_default_str();
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_word_program(argc, argv, "bench_load", "One measurement of an api-server", define, run_word);
}
