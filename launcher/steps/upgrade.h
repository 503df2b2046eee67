#pragma once
// The steps by which a running cluster comes to run another release: upgrade and rollback. The ChangeTask holds what it
// ran before; the context's settings what it is to run.

#include "launcher/steps/change.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// All-in-one: the cluster's own copy of `rusternetes`. Undo removes it, of one that is changed unless it ran before.
StepPtr keep_program(Context context);
StepPtr keep_program(Context context, Change change);

// In the order that Kubernetes' version skew policy asks for, or, back to an older release, the other way round: each
// container is made of the manifest that is there, and waited for until it is well. Undo makes it of the previous one.
// https://kubernetes.io/releases/version-skew-policy/
std::vector<StepPtr> replace_components(const Context& context, const Change& change, bool is_back);
// All-in-one: the process is ended and started again by what it is to be.
StepPtr replace_process(Context context, Change change);

// Images and programs that the cluster had and neither runs nor can be rolled back to any more.
StepPtr remove_old_releases(Context context, Change change);

}  // namespace rusternetes::launcher
