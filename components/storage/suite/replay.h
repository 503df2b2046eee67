#pragma once
// A recorded session of a client with etcd, asked again of a store. See recording/README.md.

#include <boost/json/object.hpp>
#include <map>
#include <memory>
#include <string>

#include "storage/suite/steps.h"

namespace rusternetes::storage::suite {

// Asks line after line what the recording asked, and compares.
class Replay {
 public:
  explicit Replay(Store& store) : store_(store) {}

  // What differs from the recorded answer, one sentence; empty if nothing does.
  std::string line(const boost::json::object& line);
  // Differences seen only now: watches that are still open.
  std::string finish();
  // How many of each kind of request there were.
  const std::map<std::string, int>& counts() const { return counts_; }

 private:
  std::string range(const boost::json::object& request, const boost::json::object& answer);
  std::string txn(const boost::json::object& request, const boost::json::object& answer);
  std::string compact(const boost::json::object& request, const boost::json::object& answer);
  std::string grant(const boost::json::object& request, const boost::json::object& answer);
  std::string revoke(const boost::json::object& request, const boost::json::object& answer);
  std::string watch(const boost::json::object& request);
  std::string unwatch(const boost::json::object& request);

  Store& store_;
  std::map<std::int64_t, std::unique_ptr<Receiver>> watches_;
  std::map<std::string, int> counts_;
};

}  // namespace rusternetes::storage::suite
