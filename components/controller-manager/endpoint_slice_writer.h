#pragma once
// Writes slices and keeps account of it, and tells which changes in the mirror are somebody else's. What the
// controllers of EndpointSlices and of mirrored ones share.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/api_client.h"
#include "client/work_queue.h"
#include "controller-manager/endpoint_slice_tracker.h"

namespace rusternetes::controller_manager {

class SliceWriter {
 public:
  // `manager` is the value of the label managed-by of the slices that are ours; all others are left alone.
  SliceWriter(client::ApiClient& client, client::Informer& slices, client::WorkQueue& queue,
              std::string_view manager, const Clock& clock);

  // Ours for the key, none that is being deleted.
  std::vector<Document> slices_of(const std::string& key) const;
  // The keys that have any.
  std::vector<std::string> keys() const;
  // How long at most to wait until the mirror shows what was written; the queue gets the key when it does. 0:
  // now.
  std::chrono::nanoseconds wait_for_mirror(const std::string& key, const std::vector<Document>& slices);
  // Creations, then updates, then removals, up to the first failure. That a namespace is ending is none.
  Task<Result<void>> write(std::string key, std::vector<Document> create, std::vector<Document> update,
                           std::vector<Document> remove);
  // The key is nobody's any more.
  void forget(const std::string& key);
  // From now on what others do to our slices is put right. What is there before is no change.
  void start() { is_started_ = true; }

 private:
  void on_slice(const Document& before, const Document& now);
  void on_key(const std::string& key, const Document& before, const Document& now);
  Task<Result<void>> write_all(std::string key, std::vector<Document> create, std::vector<Document> update,
                               std::vector<Document> remove);

  client::ApiClient& client_;
  client::Informer& slices_;
  client::WorkQueue& queue_;
  const std::string manager_;
  const Clock& clock_;
  SliceTracker tracker_;
  std::set<std::string> waiting_;                         // for the mirror
  std::map<std::string, std::vector<Document>> writing_;  // what the mirror showed meanwhile
  bool is_started_ = false;
};

}  // namespace rusternetes::controller_manager
