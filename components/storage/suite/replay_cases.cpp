// What a real kube-apiserver asked of etcd, asked of the store: recording/.
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fstream>
#include <iostream>

#include "storage/suite/replay.h"
#include "storage/suite/suite.h"

namespace rusternetes::storage::suite {

STORE_CASE("what a recorded kube-apiserver asked is answered as etcd answered it") {
  std::ifstream in(RUSTERNETES_SOURCE_DIR "/components/storage/suite/recording/kube-apiserver.jsonl");
  REQUIRE(in);
  Replay replay(store);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::string differs = replay.line(boost::json::parse(line).as_object());
    if (differs.empty()) continue;
    INFO("line " << number << ": " << line.substr(0, 300));
    REQUIRE(differs == "");
  }
  CHECK(replay.finish() == "");
  for (const char* kind : {"range", "txn", "watch", "unwatch", "compact", "grant", "revoke"}) {
    INFO(kind);
    CHECK(replay.counts().contains(kind));
  }
}

// The comparison itself: every kind of answer, once wrong.
STORE_CASE("an answer that differs from the recorded one is told") {
  const std::pair<const char*, const char*> lines[] = {
      {R"({"txn":{"compare":[{"key":"k","target":"mod","relation":"equal","number":0}],)"
       R"("success":[{"put":{"key":"k","value":"v"}}],"failure":[]},)"
       R"("answer":{"revision":2,"succeeded":true,"responses":[{"put":{}}]}})",
       ""},
      {R"({"range":{"key":"k"},"answer":{"revision":2,"count":1,"kvs":["k=v 2/2/1"]}})", ""},
      {R"({"range":{"key":"k"},"answer":{"revision":3,"count":1,"kvs":["k=v 2/2/1"]}})", "\"revision\":3"},
      {R"({"range":{"key":"k"},"answer":{"revision":2,"count":2,"kvs":["k=v 2/2/1"]}})", "\"count\":2"},
      {R"({"range":{"key":"k"},"answer":{"revision":2,"count":1,"kvs":["k=v 2/2/2"]}})", "2/2/2"},
      {R"({"range":{"key":"k"},"answer":{"revision":2,"count":1,"more":true,"kvs":["k=v 2/2/1"]}})", "more"},
      {R"({"range":{"key":"k","revision":1},"answer":{"error":"Compacted"}})", "Compacted"},
      {R"({"range":{"key":"k","revision":9},"answer":{"error":"FutureRevision"}})", ""},
      {R"({"txn":{"compare":[],"success":[{"range":{"key":"k"}}],"failure":[]},)"
       R"("answer":{"revision":2,"succeeded":false,"responses":[]}})",
       "succeeded"},
      {R"({"txn":{"compare":[],"success":[{"delete":{"key":"x"}}],"failure":[]},)"
       R"("answer":{"revision":2,"succeeded":true,"responses":[{"delete":{"deleted":1}}]}})",
       "\"deleted\":1"},
      {R"({"grant":{"id":5,"ttl":60},"answer":{"revision":3}})", "\"revision\":3"},
      {R"({"revoke":{"id":6},"answer":{"revision":2}})", "LeaseNotFound"},
      {R"({"watch":{"id":1,"key":"k","start":2}})", ""},
      {R"({"unwatch":{"id":1,"until":2,"events":["put k=w 2/2/1"]}})", "k=w"},
      {R"({"watch":{"id":2,"key":"k","start":2}})", ""},
      {R"({"unwatch":{"id":2,"until":2}})", "k=v"},
      {R"({"watch":{"id":3,"key":"k","start":2}})", ""},
      {R"({"unwatch":{"id":3,"until":2,"events":["put k=v 2/2/1"]}})", ""},
      {R"({"compact":{"revision":9},"answer":{"revision":2}})", "FutureRevision"},
  };
  Replay replay(store);
  for (const auto& [line, differs] : lines) {
    INFO(line);
    const std::string told = replay.line(boost::json::parse(line).as_object());
    CHECK(told.empty() == (*differs == '\0'));
    CHECK(told.find(differs) != std::string::npos);
  }
}

}  // namespace rusternetes::storage::suite
