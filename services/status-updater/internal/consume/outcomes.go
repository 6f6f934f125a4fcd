package consume

// Outcomes of claims, beside those of job.Outcome.
const (
	// outcomeUnknown: of a kind that a later release made; acked.
	outcomeUnknown = "unknown"
	// outcomeInvalid: breaks the contract; dead-lettered, unless a container of a
	// job said it: that is acked, for whoever can print must not fill the dead
	// letters.
	outcomeInvalid = "invalid"
	// outcomeError: could not be applied now; comes again.
	outcomeError = "error"
)

// Outcomes of log entries, beside those above and the reasons of package
// logentry why an Event says nothing. All but the last three are acked.
const (
	// outcomeClaim: became a claim, which has an outcome of its own.
	outcomeClaim = "claim"
	// outcomePhase: a phase, published on job-phases.
	outcomePhase = "phase"
	// outcomePod: tells which Job a pod belongs to.
	outcomePod = "pod_learned"
	// outcomeIgnored: of a kind that says nothing about a job.
	outcomeIgnored = "ignored"
	// outcomeForeign: from another cluster than the one that is trusted.
	outcomeForeign = "foreign"
	// outcomeUntrusted: says something that its writer has no word in.
	outcomeUntrusted = "untrusted"
	// outcomeUnknownUID: an Event of a Job that no record names: one that is not
	// the product's, usually.
	outcomeUnknownUID = "unknown_uid"
	// outcomeAmbiguousUID: an Event of a Job that several records name.
	outcomeAmbiguousUID = "ambiguous_uid"
	// outcomeUnknownPod: an Event of a pod whose Job is not known.
	outcomeUnknownPod = "unknown_pod"
	// outcomeEndUnknown: a Job completed, and nobody has said whether that ends
	// the whole job.
	outcomeEndUnknown = "end_unknown"
	// outcomeEarly: its record may be behind it; nacked once.
	outcomeEarly = "early"
	// outcomeFuture: from further ahead than a claim may be; dead-lettered.
	outcomeFuture = "future"
	// outcomeUndecodable: no log entry, Event or event of ours; dead-lettered.
	outcomeUndecodable = "undecodable"
	// outcomeTooLarge: larger than any entry of Cloud Logging; dead-lettered.
	outcomeTooLarge = "too_large"
)
