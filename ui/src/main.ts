// Starts the window: language, host, page.
import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { connect } from "./lib/backend/choose";
import { speak } from "./lib/messages";
import { Live } from "./lib/snapshot.svelte";

const target = document.getElementById("app");
if (target === null) throw new Error("index.html has no #app");

const asked = new URLSearchParams(location.search).get("lang");
const say = speak(asked === null ? navigator.languages : [asked]);
document.documentElement.lang = say.language;

const live = new Live(await connect());
mount(App, { target, props: { live, say } });
