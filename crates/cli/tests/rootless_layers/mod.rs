#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod attributes;
mod copied;
mod layers;
mod methods;
mod own_root;
mod served;
mod user;

use hoist_testing::{
    Need,
    command::{By::Root, Case},
};

use user::Method;

const COPY: &[Need] = &[
    Need::UserNamespaces,
    Need::Tool("setpriv"),
    Need::Tool("setarch"),
];

const FUSE: &[Need] = &[
    Need::UserNamespaces,
    Need::Tool("setpriv"),
    Need::Tool("setarch"),
    Need::Tool("fuse-overlayfs"),
];

const SUB_IDS: &[Need] = &[
    Need::UserNamespaces,
    Need::Tool("setpriv"),
    Need::Tool("setarch"),
    Need::Tool("fuse-overlayfs"),
    Need::Tool("newuidmap"),
    Need::Tool("newgidmap"),
    Need::Tool("unshare"),
];

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "without overlayfs of its own an ordinary user's layers are shown by fuse-overlayfs, as an overlay shows them",
        by: Root,
        needs: FUSE,
        run: |hoist| methods::shows_layers(hoist, Method::Fuse),
    },
    Case {
        name: "without fuse-overlayfs, too, they are copied, as an overlay shows them",
        by: Root,
        needs: COPY,
        run: |hoist| methods::shows_layers(hoist, Method::Copy),
    },
    Case {
        name: "info, plan and the debug log say by what layers are put together, and why not by overlayfs",
        by: Root,
        needs: FUSE,
        run: methods::said,
    },
    Case {
        name: "fuse-overlayfs is recorded, runs outside of the container, and ends with it however that ends",
        by: Root,
        needs: FUSE,
        run: served::ends_with_container,
    },
    Case {
        name: "a fuse-overlayfs that cannot show the layers fails the start with its own words, and nothing is left",
        by: Root,
        needs: FUSE,
        run: served::failing_server,
    },
    Case {
        name: "what is written to a copy is kept in the layer folder, and a copy that was cut short is made anew",
        by: Root,
        needs: COPY,
        run: copied::kept_copy,
    },
    Case {
        name: "a copy has the attributes, times and holes of its original, and one file of several names has them again",
        by: Root,
        needs: COPY,
        run: attributes::faithful_copy,
    },
    Case {
        name: "this machine's own root is shown by fuse-overlayfs",
        by: Root,
        needs: FUSE,
        run: own_root::own_root,
    },
    Case {
        name: "without fuse-overlayfs this machine's own root is shown read-only, and else refused with what to do",
        by: Root,
        needs: COPY,
        run: own_root::own_root_without_overlays,
    },
    Case {
        name: "with ids that are lent, all users of a container see what fuse-overlayfs shows, and exec finds them",
        by: Root,
        needs: SUB_IDS,
        run: served::many_users,
    },
    Case {
        name: "files of what fuse-overlayfs shows are copied, exported and compared while the container runs",
        by: Root,
        needs: FUSE,
        run: served::files_of_served,
    },
];
