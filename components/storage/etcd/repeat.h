#pragma once
// Which transactions may be sent once more while nobody knows what became of the first time, and what a
// refusal then tells. No I/O.

#include <optional>
#include <string_view>

#include "storage/store.h"

namespace rusternetes::storage::etcd {

// A key that no object has. A transaction that makes a key compares the revision of this one: once it has
// been written anew, nothing that was sent before can still happen, whichever server had kept it.
inline constexpr const char* write_fence_key = "rusternetes_write_fence";

struct Repeat {
  // Sent twice, it happens at most once: it changes a key whose revision it compares with one that never
  // comes again, or makes one, with the fence.
  bool is_safe = false;
  // The first operation makes a key, and the bytes there tell that this transaction did.
  bool is_recognizable = false;
};
Repeat repeat_of(const TxnRequest& request);

// What is known of the other attempts at a transaction, besides one that was refused.
enum class Others { none, in_flight, lost };

// What a refused attempt came with. Of a transaction that is not recognizable: only the default.
struct Refusal {
  struct Found {
    bool is_ours = false;  // the very bytes
    Revision create_revision = 0;
  };
  std::optional<Found> found;  // the key that was to be made
  Revision fence_sent = 0, fence_seen = 0;
};

enum class Verdict {
  refused,   // it did not happen, and will not
  happened,  // an earlier attempt did
  again,     // only the fence was another
  wait,      // an attempt that is still under way can tell
  unknown,
};
// `begun_at`: a revision that the store had before the first attempt.
Verdict judge(const Repeat& repeat, const Refusal& refusal, Others others, Revision begun_at);

}  // namespace rusternetes::storage::etcd
