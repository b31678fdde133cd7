/** Types of `layers.cjs`, which is plain JavaScript since lint's configuration reads it as well. */
import type { ICruiseOptions, IForbiddenRuleType } from "dependency-cruiser";

export interface Layer {
  readonly folder: string;
  readonly rank: number;
  readonly pure: boolean;
  readonly ports?: boolean;
  readonly only?: readonly string[];
  readonly packages?: readonly string[];
  readonly holds: string;
}

export const layers: readonly Layer[];
export const pureFolders: readonly string[];
export const nodelessFolders: readonly string[];
export function cruiserOptions(): ICruiseOptions;
export function cruiserRules(): IForbiddenRuleType[];
export function mermaid(): string;
