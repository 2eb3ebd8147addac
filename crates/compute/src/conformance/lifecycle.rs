//! Making, opening, listing and removing containers; states and what each allows.

mod deleting;
mod finding;
mod ids;
mod specs;
mod starting;
mod states;

pub(super) use starting::{expect_execute_error, no_programs};

use super::{Ability, Behaviour};

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "a new container is created and nothing of it runs",
        covers: &["create.state", "create.not-started", "state.created"],
        needs: &[],
        run: states::a_new_container_is_created,
    },
    Behaviour {
        name: "a container goes from created over running to stopped",
        covers: &[
            "state.order",
            "state.running",
            "state.stopped",
            "start.starts",
            "system.state",
        ],
        needs: &[],
        run: states::created_running_stopped,
    },
    Behaviour {
        name: "a container goes between running and paused, and its processes stand still meanwhile",
        covers: &[
            "pause.freezes",
            "resume.goes-on",
            "state.paused",
            "state.order",
        ],
        needs: &[Ability::Pause],
        run: states::running_paused_running,
    },
    Behaviour {
        name: "what a created container does not allow is an invalid state",
        covers: &[
            "exec.not-running",
            "signal.not-running",
            "pause.freezes",
            "resume.not-paused",
        ],
        needs: &[],
        run: states::created_allows,
    },
    Behaviour {
        name: "what a running container does not allow is an invalid state",
        covers: &["start.not-created", "resume.not-paused", "delete.running"],
        needs: &[],
        run: states::running_allows,
    },
    Behaviour {
        name: "what a paused container does not allow is an invalid state",
        covers: &[
            "start.not-created",
            "exec.not-running",
            "pause.again",
            "delete.running",
        ],
        needs: &[Ability::Pause],
        run: states::paused_allows,
    },
    Behaviour {
        name: "what a stopped container does not allow is an invalid state",
        covers: &[
            "start.not-created",
            "exec.not-running",
            "signal.not-running",
            "resume.not-paused",
            "pause.freezes",
        ],
        needs: &[],
        run: states::stopped_allows,
    },
    Behaviour {
        name: "an id in use is refused, and its container is unharmed",
        covers: &["create.id-in-use"],
        needs: &[],
        run: ids::an_id_in_use_is_refused,
    },
    Behaviour {
        name: "of many who create the same id at once one succeeds",
        covers: &["create.id-in-use", "service.threads"],
        needs: &[],
        run: ids::one_of_many_creators_succeeds,
    },
    Behaviour {
        name: "an id is free again after its container was deleted",
        covers: &["delete.removes"],
        needs: &[],
        run: ids::an_id_is_free_again,
    },
    Behaviour {
        name: "a spec that cannot be carried out is refused and leaves nothing",
        covers: &["create.refuses", "error.fields"],
        needs: &[],
        run: specs::a_bad_spec_is_refused,
    },
    Behaviour {
        name: "a container that does not exist is not found",
        covers: &["open.not-found"],
        needs: &[],
        run: finding::what_does_not_exist_is_not_found,
    },
    Behaviour {
        name: "an opened container is the one that was created",
        covers: &["open.opens", "system.id", "system.spec"],
        needs: &[],
        run: finding::an_opened_container_is_the_created_one,
    },
    Behaviour {
        name: "the list shows every container with its true state",
        covers: &[
            "enumerate.lists",
            "survey.as-the-list",
            "remove-damaged.gone",
            "ids.begin",
        ],
        needs: &[],
        run: finding::the_list_is_true,
    },
    Behaviour {
        name: "features are told with reasons, and asking changes nothing",
        covers: &["features.says", "features.changes-nothing"],
        needs: &[],
        run: finding::features_are_told,
    },
    Behaviour {
        name: "a program that cannot be executed is told apart from one that failed, and the container stays created",
        covers: &[
            "start.execute",
            "start.as-it-was",
            "error.before-the-process",
        ],
        needs: &[],
        run: starting::a_program_that_cannot_be_executed,
    },
    Behaviour {
        name: "a container that is made to be started is everybody's once its process runs, and its id is free again after a failed start",
        covers: &["create-to-start.as-create", "create.id-in-use"],
        needs: &[],
        run: starting::a_container_that_is_made_to_be_started,
    },
    Behaviour {
        name: "deleting again, also many times at once, is success",
        covers: &["delete.again", "delete.removes"],
        needs: &[],
        run: deleting::deleting_again_is_success,
    },
    Behaviour {
        name: "a container that never started can be deleted",
        covers: &["delete.removes"],
        needs: &[],
        run: deleting::a_created_container_can_be_deleted,
    },
];
