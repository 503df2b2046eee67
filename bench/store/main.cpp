// bench_store: one measurement of one etcd v3 endpoint, ours or another, as one line of JSON on standard output.

#include <CLI/CLI.hpp>

#include "store/words.h"
#include "word_program.h"

using namespace rusternetes;
using namespace rusternetes::bench;

namespace {

void define(CLI::App& app, StoreFlags& flags) {
  app.require_subcommand(1);
  const std::pair<const char*, const char*> words[] = {
      {"ready", "Time until a read is answered"},
      {"create", "Create objects"},
      {"update", "Update objects"},
      {"get", "Get objects"},
      {"delete", "Delete objects"},
      {"page", "The first --limit objects, or all, one request at a time"},
      {"older", "The second page at the revision of the first while others write"},
      {"watch", "Time from a put to its event at another client, one at a time"},
      {"watchers", "Writes that many watchers hear of"}};
  for (const auto& [name, help] : words) {
    const std::string word = name;
    auto* sub = app.add_subcommand(word, help);
    sub->add_option("--endpoint", flags.endpoint.endpoint, "host:port")->required();
    auto* cacert = sub->add_option("--cacert", flags.endpoint.ca_file, "Whom to trust; without it there is no TLS");
    auto* cert = sub->add_option("--cert", flags.endpoint.cert_file, "Certificate of this client")->needs(cacert);
    cert->needs(sub->add_option("--key", flags.endpoint.key_file, "Its key")->needs(cert));
    if (word == "ready") continue;
    sub->add_option("--connections", flags.endpoint.connections, "HTTP/2 connections")->capture_default_str()
        ->check(CLI::PositiveNumber);
    sub->add_option("--count", flags.count, "How many requests")->capture_default_str();
    const bool is_rate = word == "create" || word == "update" || word == "get" || word == "delete";
    if (is_rate) sub->add_option("--from", flags.from, "Number of the first")->capture_default_str();
    if (is_rate || word == "watchers")
      sub->add_option("--server-pid", flags.server_pid, "The server's process, whose CPU time is to be told");
    if (is_rate || word == "watchers")
      sub->add_option("--workers", flags.workers, "Requests under way at a time")->capture_default_str()
          ->check(CLI::PositiveNumber);
    if (word == "update" || word == "get" || word == "page")
      sub->add_option("--keys", flags.keys, "How many objects there are")->capture_default_str()->check(CLI::PositiveNumber);
    if (word != "get" && word != "delete" && word != "page")
      sub->add_option("--value-bytes", flags.value_bytes, "Of each value")->capture_default_str();
    if (word == "page" || word == "older")
      sub->add_option("--limit", flags.limit, "Keys a page; 0: all")->capture_default_str();
    if (word == "older" || word == "watch" || word == "watchers")
      sub->add_option("--prefix", flags.prefix, "Part of the keys that are written")->capture_default_str();
    if (word == "older")
      sub->add_option("--writes", flags.writes_per_second, "A second, beside")->capture_default_str();
    if (word != "watchers") continue;
    sub->add_option("--watchers", flags.watchers, "How many")->capture_default_str()->check(CLI::PositiveNumber);
    sub->add_option("--streams", flags.streams, "That the watchers share")->capture_default_str()->check(CLI::PositiveNumber);
    sub->add_flag("--same", flags.is_same, "All watch the same prefix, not each its own");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_word_program(argc, argv, "bench_store", "One measurement of an etcd v3 endpoint", define, run_word);
}
