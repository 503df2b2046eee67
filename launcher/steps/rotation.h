#pragma once
// The steps by which authorities, and the key of service account tokens, are replaced while the cluster goes
// on.

#include <string>
#include <string_view>
#include <vector>

#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// What a rotation knows beside the cluster's settings: of which subjects (launcher/rotation.h) there are to
// be new ones, and of which the old ones go.
struct RotationTask {
  std::vector<std::string> begun, dropped;
};
using Rotation = std::shared_ptr<const RotationTask>;
std::string rotation_arguments(const ClusterSettings& settings, const RotationTask& task);
// StateDamaged where the journal's record holds none.
Result<Rotation> rotation_from_arguments(std::string_view arguments);

// Undo forgets the new ones again and brings what has read of them back.
StepPtr trust_new_authorities(Context context, Rotation rotation);
StepPtr sign_with_new_authorities(Context context, Rotation rotation);
StepPtr drop_old_authorities(Context context, Rotation rotation);

// What reads its files only when it starts, one after the other, stores first, each waited for until it is
// well: all whose files are newer than they are, and kubelets also for a newer key of tokens. What does not
// run is left to `start`. `must_reach_all`: one that does not get well soon is told, and the others follow
// nevertheless.
StepPtr reload_components(Context context, bool must_reach_all = false);

}  // namespace rusternetes::launcher
