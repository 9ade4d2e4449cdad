// Puts the page together.

import "./style/theme.css";
import "./style/frame.css";
import "./style/list.css";
import "./style/stage.css";
import "./style/side.css";
import "./style/upload.css";
import { followAddress, materialInAddress } from "./address.ts";
import { Api } from "./api/api.ts";
import { keepLoggedIn } from "./api/login.ts";
import { Tickets } from "./api/tickets.ts";
import { takeTokenFromAddress } from "./api/token.ts";
import { createFrame } from "./frame.ts";
import { startFeeds } from "./live/feeds.ts";
import { OpenMaterial } from "./live/open_material.ts";
import { Runs } from "./live/runs.ts";
import { EMPTY, Store } from "./live/store.ts";
import { createClusterBar } from "./panels/cluster_bar.ts";
import { createGallery } from "./panels/gallery.ts";
import { createHelp } from "./panels/help.ts";
import { MaskControl } from "./panels/mask_control.ts";
import { MaterialList } from "./panels/material_list.ts";
import { createNodesPanel } from "./panels/nodes_panel.ts";
import { Notices } from "./panels/notices.ts";
import { createProblemCard } from "./panels/problem_card.ts";
import { createRunsPanel } from "./panels/runs_panel.ts";
import { createSlidePanel } from "./panels/slide_panel.ts";
import { Thumbnails } from "./panels/thumbnails.ts";
import { createUploadsPanel } from "./panels/uploads_panel.ts";
import { NodeHealth } from "./pixels/replicas.ts";
import { createShortcuts } from "./shortcuts.ts";
import { createChooser, takeDroppedFiles } from "./upload/drop.ts";
import { Uploads } from "./upload/uploads.ts";
import { listenForShortcuts } from "./viewer/keyboard.ts";
import { Stage } from "./viewer/stage.ts";
import { connectViewer } from "./viewing.ts";

takeTokenFromAddress();
await keepLoggedIn();
const store = new Store({ ...EMPTY });
const api = new Api(location.origin);
const health = new NodeHealth();
const notices = new Notices();
const tickets = new Tickets(api);
const thumbnails = new Thumbnails(health, tickets);
const open = new OpenMaterial(api, store, health, tickets);

const copyLink = async (): Promise<void> => {
  try {
    await navigator.clipboard.writeText(location.href);
    notices.tell("A link to this view is copied.");
  } catch {
    notices.tell("The browser does not let this page copy; the address above is the link.");
  }
};

const uploads = new Uploads(api, store, {
  // Who looks at something else is not taken away from it.
  show: (material, arrived) => (!arrived || store.state.openId === undefined) && go(`/view/${material}`),
  tell: (text) => notices.tell(text),
});
const send = (files: File[]): void => uploads.add(files);
const chooser = createChooser(send);
const choose = (): void => chooser.click();

const list = new MaterialList(store, thumbnails, createUploadsPanel(store, uploads, choose));
const frame = createFrame(createClusterBar(store), list.element, () => help.showModal());
const stage = new Stage(frame.stage, () => void copyLink());
frame.stage.append(createGallery(store, thumbnails, notices, choose), createProblemCard(store, open), notices.element);
const masks = new MaskControl(api, stage.mask, health, tickets, notices, store);
const runs = new Runs(api, store);
frame.side.append(
  createSlidePanel(store, open),
  createRunsPanel(store, runs, masks, notices),
  createNodesPanel(store, health),
);

connectViewer({ store, api, health, open, stage, notices });
const { go } = followAddress((id) => {
  if (id === store.state.openId) return; // Another place on the same slide.
  if (id === undefined) open.close();
  else open.open(id);
});
const shortcuts = createShortcuts({
  store,
  stage,
  list,
  masks,
  go,
  choose,
  copyLink: () => void copyLink(),
  toggle: frame.toggle,
  help: () => help.showModal(),
});
const help = createHelp(shortcuts);
document.body.append(help, chooser, takeDroppedFiles(send, (text) => notices.tell(text, "warn")));
listenForShortcuts(shortcuts);

startFeeds(api, store);
const first = materialInAddress(location.pathname);
if (first !== undefined) open.open(first);
