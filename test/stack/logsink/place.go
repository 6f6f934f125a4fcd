package logsink

import "maps"

// Place is the cluster that the entries come from, as GKE names it.
type Place struct {
	// ProjectID is the GCP project of cluster, logs and topic.
	ProjectID string
	// Cluster and Location are the cluster's name and its region or zone.
	Cluster, Location string
}

func (p Place) logName(id string) string { return "projects/" + p.ProjectID + "/logs/" + id }

// resource has the labels that every resource of the cluster has, and more.
func (p Place) resource(kind string, more map[string]string) Resource {
	labels := map[string]string{"project_id": p.ProjectID, "location": p.Location, "cluster_name": p.Cluster}
	maps.Copy(labels, more)
	return Resource{Type: kind, Labels: labels}
}
