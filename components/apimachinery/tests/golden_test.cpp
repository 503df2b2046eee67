// Kubernetes' own golden files: one filled object a kind, in JSON and protobuf (Go module k8s.io/api, testdata/HEAD).
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"

using namespace rusternetes::apimachinery;

namespace {

std::string output_of(const std::string& command) {
  std::string out;
  if (FILE* pipe = ::popen(command.c_str(), "r")) {
    char buffer[4096];
    while (std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
    ::pclose(pipe);
  }
  return out;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Where Go's module tools keep the files; empty where they can't be had.
std::filesystem::path golden_folder() {
  const std::string answer = output_of("cd / && go mod download -json k8s.io/api@v0.35.4 2>/dev/null");
  const auto at = answer.find("\"Dir\": \"");
  if (at == std::string::npos) return {};
  const auto start = at + 8;
  return std::filesystem::path(answer.substr(start, answer.find('"', start) - start)) / "testdata" / "HEAD";
}

std::string golden_name(const Kind& kind) {
  std::string group(kind.group_version.group);
  if (group.empty()) group = "core";
  return group + "." + std::string(kind.group_version.version) + "." + std::string(kind.kind);
}

std::string any_text(std::string_view json) {
  Arena arena;
  auto any = decode_json_any(arena, json);
  REQUIRE(any);
  std::string text;
  encode_json_any(text, *any);
  return text;
}

}  // namespace

TEST_CASE("every served kind reads and writes Kubernetes' golden files") {
  const auto folder = golden_folder();
  if (folder.empty() || !std::filesystem::exists(folder)) {
    std::cout << "SKIPPED: the golden files of k8s.io/api need Go's module tools\n";
    return;
  }
  int compared = 0;
  for (const auto& kind : builtin_schema().kinds) {
    const std::string name = golden_name(kind);
    if (!std::filesystem::exists(folder / (name + ".json"))) {
      // Lists and the kinds of aggregated APIs have no golden file.
      continue;
    }
    INFO(name);
    const std::string json = read_file(folder / (name + ".json")), pb = read_file(folder / (name + ".pb"));
    ++compared;
    {
      Arena arena;
      auto envelope = open_protobuf_envelope(pb);
      REQUIRE(envelope);
      auto value = decode_protobuf(arena, envelope->raw, *kind.type);
      REQUIRE(value);
      std::string again, body;
      encode_protobuf(body, &*value, *kind.type);
      again = protobuf_envelope_head(envelope->api_version, envelope->kind, body.size()) + body +
              std::string(protobuf_envelope_tail());
      CHECK((again == pb));
    }
    {
      Arena arena;
      DecodeIssues issues;
      auto value = decode_json(arena, json, *kind.type, &issues);
      INFO((value ? "" : value.error().message));
      REQUIRE(value);
      for (const auto& issue : issues.messages) FAIL_CHECK(issue);
      std::string body;
      encode_protobuf(body, &*value, *kind.type);
      auto back = decode_protobuf(arena, body, *kind.type);
      REQUIRE(back);
      std::string text;
      encode_json(text, &*back, *kind.type, {kind.group_version.text() , kind.kind, true});
      CHECK(any_text(text) == any_text(json));
      // And straight, without protobuf between.
      std::string straight;
      encode_json(straight, *value, *kind.type);
      CHECK(any_text(straight) == any_text(json));
    }
  }
  CHECK(compared > 60);
  std::cout << "golden kinds compared: " << compared << "\n";
}
