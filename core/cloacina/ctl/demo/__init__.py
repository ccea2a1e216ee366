"""The guided main job: what a user does with packages, from source to a resumed run."""
