#pragma once
// How many descriptors a process may have open. A shell gives 1,024, which a server with as many clients
// exceeds; the hard limit is what the administrator allows.

namespace rusternetes {

// Raises the soft limit to the hard one, first thing in main(). Children that are forked get the one back
// that was there before, as programs that use select() count on it. (Containers have what their engine is
// told.)
void raise_open_files();

}  // namespace rusternetes
